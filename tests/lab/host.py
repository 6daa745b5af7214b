"""A disposable host: a machine, its fresh disk and a connection to it."""

import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.lab import accel
from tests.lab.cache import flush, hold, scratch
from tests.lab.errors import (
    CommandError,
    ConnectionLostError,
    DeadlineError,
    LabError,
    MachineDiedError,
)
from tests.lab.machine import Drive, Hardware, Machine
from tests.lab.say import say
from tests.lab.ssh import Connection, Result

_BOOT_SECONDS = 240.0
# How often a kernel that dies before it runs anything may be booted in place of one boot.
_BIRTHS = 3
# How long one look waits for the end of a boot, and how long the answer of a busy host may take.
_TURN_SECONDS = 20
_ANSWER_SECONDS = 100
# QEMU closes its connections a moment before its end can be seen.
_EXIT_SECONDS = 2.0
MEMORY = ".memory"
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_WRECKAGE = {
    "journal.txt": "journalctl --no-pager -o short-precise --no-hostname",
    "containers.txt": "docker ps -a --no-trunc",
    "containers.json": "docker ps -aq | xargs -r docker inspect",
    "units.txt": "systemctl --no-pager --all list-units; systemctl --no-pager list-jobs",
    "processes.txt": "ps axwwf -o pid,ppid,stat,lstart,args; df -h; free -m",
    "drainer.txt": "for f in /var/lib/drainer/*.yaml; do echo == $f; cat $f; done; "
    "ls -laR /var/lib/drainer /etc/drainer",
    "criu.txt": "find /var/lib/drainer /var/lib/docker/containers /run/containerd /run/runc "
    "-name '*.log' -path '*criu*' -o -name 'dump.log' -o -name 'restore.log' | "
    "while read -r f; do echo == $f; tail -n 200 $f; done",
}


@dataclass(frozen=True)
class Image:
    """A finished disk, with what is needed to boot it.

    `layer` is a disk on top of it, or None. A file beside the topmost disk may hold the memory of a
    host that ran on it, which spares others the boot.
    """

    suite: str
    directory: Path
    layer: Path | None = None

    @property
    def disk(self) -> Path:
        """The raw disk under everything."""
        return self.directory / "disk.raw"

    @property
    def kernel(self) -> Path:
        """The kernel to boot."""
        return self.directory / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The initrd for that kernel."""
        return self.directory / "initrd"

    @property
    def key(self) -> Path:
        """Root's private ssh key."""
        return self.directory / "id_ed25519"

    @property
    def memory_file(self) -> Path:
        """Where a host on the topmost disk is frozen to, if the accelerator is as it is now."""
        suffix = f".{accel.fingerprint(self.kernel)}{MEMORY}"
        return (self.layer or self.disk).with_suffix(suffix)

    @property
    def top(self) -> Drive:
        """The topmost disk."""
        return Drive(self.layer) if self.layer else Drive(self.disk, form="raw")


@dataclass(frozen=True)
class Options:
    """How to start a host.

    `experimental` switches Docker's experimental features on as soon as the host is up; the stock
    image has no `/etc/docker/daemon.json`. `journal_on_console` copies the journal to the
    serial line, where it survives a power cut. `wait_booted` waits for the end of the boot, not
    only for ssh.
    """

    hardware: Hardware = field(default_factory=Hardware)
    experimental: bool = False
    journal_on_console: bool = False
    wait_booted: bool = True

    def full_hardware(self) -> Hardware:
        """Return the hardware with the kernel arguments for the other options."""
        arguments = list(self.hardware.kernel_arguments)
        if self.journal_on_console:
            arguments.append("systemd.journald.forward_to_console=1")
        return replace(self.hardware, kernel_arguments=tuple(arguments))


class Host:
    """A running host. Made by `start`, which also ends it."""

    def __init__(self, machine: Machine, key: Path, *, wait_booted: bool = True) -> None:
        self.machine = machine
        self._connection = Connection(key, machine.directory)
        self._wait_booted = wait_booted

    @property
    def ssh_command(self) -> str:
        """The command line with which a person gets a shell."""
        return self._connection.by_hand()

    def power_on(self, timeout: float = _BOOT_SECONDS) -> None:
        """Switch the machine on and wait for it."""
        self.machine.power_on()
        self._connect(timeout)

    def go_on(self, memory: Path, timeout: float = _BOOT_SECONDS) -> None:
        """Switch the machine on where another one was frozen, and set its clock."""
        self.machine.power_on(memory)
        self._connect(timeout)
        self.run(f"date -s @{time.time():.1f}")

    def end(self, memory: Path) -> None:
        """Freeze the host where boots take long, else shut it down: its disk is whole then."""
        if not accel.slow(self.machine.kernel):
            self.shutdown()
            return
        self.run("sync", _BOOT_SECONDS)
        self._connection.close()
        saved = self.machine.directory / "memory"
        self.machine.freeze(saved)
        flush(saved)
        saved.rename(memory)

    def power_cut(self, timeout: float = _BOOT_SECONDS) -> None:
        """Take the power away in an instant, give it back and wait for the boot.

        What the guest wrote but did not flush is lost as far as it sat in the guest's page cache or
        in the qcow2 tables that QEMU held. What it flushed is kept.
        """
        self.pull_plug()
        self.power_on(timeout)

    def pull_plug(self) -> None:
        """Take the power away in an instant. `power_on` gives it back."""
        self.machine.pull_plug()
        self._connection.close()

    def shutdown(self, timeout: float = _BOOT_SECONDS) -> None:
        """Shut down in order and wait until the machine is off."""
        self._in_background("systemctl poweroff")
        self.machine.wait_off(timeout)
        self._connection.close()

    def reboot(self, how: str = "systemctl reboot", timeout: float = _BOOT_SECONDS) -> None:
        """Reboot by the given command and wait for the next boot; `timeout` covers both halves."""
        before = self.boot_id()
        kernels = self.machine.boots()
        self._in_background(how)
        self.machine.wait_boots(kernels + 1, timeout)
        self._connect(timeout)
        if self.boot_id() == before:
            raise LabError(f"the boot id is the same after: {how}")

    def run(
        self, command: str, timeout: float = 60, *, check: bool = True, data: bytes = b""
    ) -> Result:
        """Run a shell command as root in the guest; `data` is its standard input.

        Raises CommandError for a status other than 0 (with `check`), DeadlineError,
        ConnectionLostError, and MachineDiedError with QEMU's last words.
        """
        try:
            result = self._connection.run(command, timeout=timeout, data=data or None)
        except (ConnectionLostError, DeadlineError):
            self.machine.check(grace=_EXIT_SECONDS)
            raise
        if check and result.status:
            raise CommandError(command, result.status, result.stdout, result.stderr)
        return result

    def output(self, command: str, timeout: float = 60) -> str:
        """Run a command that must succeed; return what it printed, without the last newline."""
        return self.run(command, timeout).stdout.removesuffix("\n")

    def wait_until(self, command: str, timeout: float = 60) -> str:
        """Repeat a command until it succeeds and return its output. The waiting is in the guest."""
        script = f"until out=$({command}); do sleep 0.3; done; printf '%s' \"$out\""
        try:
            return self.output(script, timeout)
        except DeadlineError:
            raise DeadlineError(f"never succeeded within {timeout:.0f} s: {command}") from None

    def wait_booted(self, timeout: float = _BOOT_SECONDS) -> None:
        """Wait until the boot's last job is done. A failed unit is no error here."""
        deadline = time.monotonic() + timeout
        state = ""
        while not state and time.monotonic() < deadline:
            # In turns: who waits for a kernel that has died does so to the end.
            waiting = f"timeout {_TURN_SECONDS} systemctl is-system-running --wait"
            state = self.run(waiting, _TURN_SECONDS + _ANSWER_SECONDS, check=False).stdout.strip()
        if not state:
            raise DeadlineError(f"the boot has not ended after {timeout:.0f} s")
        if state not in {"running", "degraded"}:
            raise LabError(f"the host is {state!r} after its boot")

    def boot_id(self) -> str:
        """Return the kernel's id of this boot."""
        return self.output(f"cat {_BOOT_ID}")

    def copy_to(self, local: Path, remote: str, timeout: float = 120) -> None:
        """Copy a file, or what is in a directory, to a path in the guest. Parents are made."""
        there = shlex.quote(remote)
        if local.is_dir():
            receive = f"mkdir -p {there} && tar -xf - -C {there}"
            send = ["tar", "-cf", "-", "--owner=0", "--group=0", "-C", str(local.resolve()), "."]
        else:
            receive = f"mkdir -p $(dirname {there}) && cat >{there}"
            send = ["cat", str(local.resolve())]
        self._connection.pipe(send, [*self._connection.command(), receive], timeout)

    def copy_from(self, remote: str, local: Path, timeout: float = 120) -> None:
        """Copy a file from the guest."""
        send = [*self._connection.command(), f"cat {shlex.quote(remote)}"]
        self._connection.pipe(send, ["dd", f"of={local.resolve()}", "status=none"], timeout)

    def write(self, remote: str, text: str, mode: str = "644") -> None:
        """Write a text file in the guest. Parents are made."""
        there = shlex.quote(remote)
        self.run(
            f"mkdir -p $(dirname {there}) && cat >{there} && chmod {mode} {there}",
            data=text.encode(),
        )

    def console(self) -> str:
        """Return everything that came over the serial line, of all boots."""
        return self.machine.console

    def journal(self, *arguments: str) -> str:
        """Return what `journalctl` prints, for example for `"-b", "-u", "docker.service"`."""
        return self.output(shlex.join(["journalctl", "--no-pager", *arguments]), 120)

    def collect(self, directory: Path) -> None:
        """Save what explains a failure: console, journal, containers, drainer's files."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "console.txt").write_text(self.console())
        (directory / "qemu.txt").write_text((self.machine.directory / "qemu.log").read_text())
        for name, command in _WRECKAGE.items():
            try:
                result = self.run(command, 60, check=False)
            except LabError as error:
                (directory / name).write_text(f"{error}\n")
                return
            (directory / name).write_text(result.stdout + result.stderr)

    def dispose(self) -> None:
        """End the host without ceremony."""
        self.machine.pull_plug()
        self._connection.close()

    def _connect(self, timeout: float) -> None:
        for births_left in reversed(range(_BIRTHS)):
            try:
                self._connection.open(self.machine.port, timeout, self.machine.check)
                if self._wait_booted:
                    self.wait_booted(timeout)
                break
            except DeadlineError as error:
                raise DeadlineError(f"{error}\n{self.machine.tail()}") from None
            except MachineDiedError:
                if not (births_left and self.machine.stillborn):
                    raise
                say("the emulated kernel died before Docker began to start: on again")
                self.pull_plug()
                self.machine.power_on()

    def _in_background(self, command: str) -> None:
        # The connection may break before the answer: what counts is what the machine does next.
        with suppress(ConnectionLostError, DeadlineError):
            self.run(f"setsid sh -c {shlex.quote(command)} </dev/null >/dev/null 2>&1 &", 20)


@contextmanager
def start(image: Image, options: Options | None = None) -> Iterator[Host]:
    """Give a host on a fresh overlay over the image; it and its disk are gone afterwards.

    An image with a frozen host saves it the boot, unless it is to have other hardware.
    """
    options = options or Options()
    with ExitStack() as stack:
        for path in (image.disk, image.layer):
            if path:
                stack.enter_context(_held(path))
        directory = stack.enter_context(scratch(image.suite))
        overlay = directory / "disk.qcow2"
        machine = Machine(
            image.kernel, image.initrd, (Drive(overlay),), directory, options.full_hardware()
        )
        host = Host(machine, image.key, wait_booted=options.wait_booted)
        stack.callback(host.dispose)
        for births_left in reversed(range(_BIRTHS)):
            overlay.unlink(missing_ok=True)
            make_overlay(overlay, image.top)
            try:
                if image.memory_file.exists() and machine.hardware == Hardware():
                    host.go_on(image.memory_file)
                else:
                    host.power_on()
                break
            except MachineDiedError:
                # Nobody has asked anything of this host yet: another one is as good.
                if not (births_left and machine.misran):
                    raise
                say("the emulated kernel died in its first boot: once more, on a fresh disk")
                host.pull_plug()
        if options.experimental:
            host.write("/etc/docker/daemon.json", json.dumps({"experimental": True}))
            host.run("systemctl restart docker", 180)
        yield host


def make_overlay(path: Path, base: Drive) -> None:
    """Make an empty qcow2 disk that shows the base until it is written to."""
    subprocess.run(
        [
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            "-F",
            base.form,
            "-b",
            str(base.path),
            str(path),
        ],
        check=True,
    )


@contextmanager
def _held(path: Path) -> Iterator[None]:
    descriptor = hold(path)
    try:
        yield
    finally:
        os.close(descriptor)
