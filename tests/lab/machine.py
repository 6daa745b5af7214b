"""One QEMU process: power on, pull the plug, serial console. Knows nothing of what runs in it."""

import shlex
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import accel, monitor
from tests.lab.errors import DeadlineError, MachineDiedError

# No login prompt: the serial line is for the kernel, and for the journal if asked.
_KERNEL_ARGUMENTS = (
    "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off systemd.getty_auto=no"
)
# Relative to the directory: the path of a socket may have 107 bytes only.
_MONITOR = "monitor"
_FREEZE_SECONDS = 120.0

OPEN_PORTS = (7001, 7002)
"""Ports of a guest that can be reached from outside of it, beside that of ssh."""


@dataclass(frozen=True)
class Hardware:
    """What a machine is made of.

    `memory` is in MiB. `kernel_arguments` are added to the lab's own. `qemu_arguments` come last,
    so that `("-cpu", "qemu64")` or `("-rtc", "base=2030-01-01")` win over the lab's.
    """

    memory: int = 3072
    cpus: int = 2
    kernel_arguments: tuple[str, ...] = ()
    qemu_arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drive:
    """A disk as the guest sees it: `/dev/vda`, `/dev/vdb`, ... in the order given."""

    path: Path
    form: str = "qcow2"
    readonly: bool = False

    @property
    def argument(self) -> str:
        """QEMU's `-drive`.

        `cache=writeback` gives the guest a volatile write cache and honours its flushes: what it
        did not flush may be lost with the power, what it flushed may not.
        """
        flags = ",readonly=on" if self.readonly else ",discard=unmap"
        return f"file={self.path},format={self.form},if=virtio,cache=writeback{flags}"


@dataclass
class Machine:
    """A machine that is off until `power_on`. `directory` gets its console and QEMU's errors."""

    kernel: Path
    initrd: Path
    drives: tuple[Drive, ...]
    directory: Path
    hardware: Hardware = field(default_factory=Hardware)
    port: int = 0
    open_ports: dict[int, int] = field(default_factory=dict)
    """For each of `OPEN_PORTS` that of 127.0.0.1 which leads there."""
    _process: subprocess.Popen[bytes] | None = None
    _console_before: int = 0
    """How much of the console is of former power-ons, in characters."""

    @property
    def console(self) -> str:
        """Everything that came over the serial line since the first power on."""
        file = self._console_file
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def running(self) -> bool:
        """Whether QEMU runs."""
        return self._process is not None and self._process.poll() is None

    def power_on(self, memory: Path | None = None) -> None:
        """Start QEMU. `port` on 127.0.0.1 leads to the guest's ssh from now on, and `open_ports`.

        With what `freeze` saved as `memory` the guest goes on from there instead of booting; its
        disk must be as it was then.
        """
        if self.running:
            raise MachineDiedError("the machine is on already")
        self.port, *others = _free_ports(1 + len(OPEN_PORTS))
        self.open_ports = dict(zip(OPEN_PORTS, others, strict=True))
        self._console_before = len(self.console)
        incoming = ("-incoming", f"exec:cat {shlex.quote(str(memory))}") if memory else ()
        with self._errors_file.open("wb") as errors:
            self._process = subprocess.Popen(
                [*accel.LEASH, *self._command(), *incoming],
                stdin=subprocess.PIPE,
                stdout=errors,
                stderr=errors,
                # An interrupt on the terminal must not take the machine before its journal is read.
                start_new_session=True,
                cwd=self.directory,
            )

    def freeze(self, memory: Path) -> None:
        """Save the running guest to a file and switch it off where it is.

        Raises DeadlineError, and MachineDiedError if QEMU could not do it.
        """
        monitor.save(self.directory, _MONITOR, memory, _FREEZE_SECONDS)
        self.wait_off(_FREEZE_SECONDS)

    def limit_disk(self, rate: int) -> None:
        """Let the disk write so many bytes a second at most; 0 for as many as it can."""
        monitor.limit_disk(self.directory, _MONITOR, rate)

    def pull_plug(self) -> None:
        """Kill QEMU in the middle of whatever it does. Harmless if it is off."""
        process = self._process
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        process.wait(30)
        self._process = None

    def wait_off(self, timeout: float) -> None:
        """Wait until the guest has switched the machine off itself."""
        if self._process is not None:
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise DeadlineError(f"not off after {timeout:.0f} s\n{self.tail()}") from None
            self.pull_plug()

    def check(self, grace: float = 0.0) -> None:
        """Raise MachineDiedError unless QEMU runs a living kernel, still after `grace` seconds."""
        if grace and self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        if not self.running:
            errors = self._errors_file.read_text(errors="replace")
            raise MachineDiedError(f"QEMU is not running\n{errors}\n{self.tail()}")
        if "Kernel panic" in self.console[self._console_before :]:
            raise MachineDiedError(f"the guest's kernel is dead\n{self.tail()}")

    @property
    def stillborn(self) -> bool:
        """Whether the last kernel died of being emulated before Docker began to start.

        While a kernel boots it rewrites itself (static keys), and emulated on several threads
        another CPU can meet the int3 of that too late: see `_STEADY` in build.py, which has the
        last of it done before Docker starts.
        """
        return self.misran and "docker.service" not in self._last_kernel

    @property
    def misran(self) -> bool:
        """Whether the last kernel died of being emulated (`stillborn`)."""
        return "Oops: int3" in self._last_kernel

    @property
    def _last_kernel(self) -> str:
        return self.console[self._console_before :].rpartition("] Linux version ")[2]

    def boots(self) -> int:
        """Count the kernels that have said hello on the console."""
        return self.console.count("] Linux version ")

    def wait_boots(self, count: int, timeout: float) -> None:
        """Wait until that many kernels have been started since the first power on."""
        deadline = time.monotonic() + timeout
        while self.boots() < count:
            self.check()
            if time.monotonic() > deadline:
                raise DeadlineError(f"no new kernel after {timeout:.0f} s\n{self.tail()}")
            time.sleep(0.1)

    def tail(self) -> str:
        """Return the last lines of the console, for an error message."""
        return "\n".join(["--- console:", *self.console.splitlines()[-25:]])

    @property
    def _console_file(self) -> Path:
        return self.directory / "console.log"

    @property
    def _errors_file(self) -> Path:
        return self.directory / "qemu.log"

    def _command(self) -> list[str]:
        hardware = self.hardware
        drives = [word for drive in self.drives for word in ("-drive", drive.argument)]
        ports = {22: self.port, **self.open_ports}
        forwards = [f"hostfwd=tcp:127.0.0.1:{here}-:{there}" for there, here in ports.items()]
        append = " ".join((_KERNEL_ARGUMENTS, *hardware.kernel_arguments))
        return [
            accel.QEMU, *accel.arguments(self.kernel),
            "-smp", str(hardware.cpus), "-m", str(hardware.memory),
            "-nodefaults", "-no-user-config", "-display", "none", "-device", "virtio-rng-pci",
            "-chardev", f"file,id=console,path={self._console_file},append=on",
            "-serial", "chardev:console",
            "-qmp", f"unix:{_MONITOR},server=on,wait=off",
            "-netdev", ",".join(("user,id=net,restrict=on", *forwards)),
            "-device", "virtio-net-pci,netdev=net,romfile=",
            *drives,
            "-kernel", str(self.kernel), "-initrd", str(self.initrd), "-append", append,
            *hardware.qemu_arguments,
        ]  # fmt: skip


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
