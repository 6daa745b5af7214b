"""Which accelerator QEMU may use: decided by booting a kernel, not by `/dev/kvm` being there."""

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

from tests.lab.cache import cache_dir, exclusive, scratch
from tests.lab.errors import LabError
from tests.lab.say import say

LEASH = (sys.executable, "-I", str(Path(__file__).with_name("leash.py")))
QEMU = "qemu-system-x86_64"

# Without them an emulated host needs an eighth less time: each costs work at every memory access or
# system call, or is emulated by slow code.
_COSTLY = ("la57", "smap", "smep", "pku", "pks", "avx", "avx2")
_ARGUMENTS = {
    "kvm": ("-accel", "kvm", "-cpu", "host,-arch-capabilities"),
    "tcg": ("-accel", "tcg,thread=multi", "-cpu", "max," + ",".join(f"{f}=off" for f in _COSTLY)),
}
_PROBE_SECONDS = 20.0
# A kernel without a root file system ends with this line: it has come all the way.
_BOOTED = "Unable to mount root fs"


def arguments(kernel: Path) -> tuple[str, ...]:
    """QEMU's arguments for the accelerator and the CPU. `$DRAINER_LAB_ACCEL` (kvm, tcg) decides.

    Without it the verdict of one probe is used and kept with what it depends on.
    """
    return _ARGUMENTS[_choice(kernel)]


def slow(kernel: Path) -> bool:
    """Whether the guests are emulated, 5 to 20 times slower than metal."""
    return _choice(kernel) == "tcg"


def fingerprint(kernel: Path) -> str:
    """Return what a guest's saved memory depends on, in a few characters."""
    words = [_qemu_version(), *arguments(kernel)]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:8]


def _choice(kernel: Path) -> str:
    forced = os.environ.get("DRAINER_LAB_ACCEL")
    if forced:
        if forced not in _ARGUMENTS:
            raise LabError(f"DRAINER_LAB_ACCEL is {forced!r}; it may be {' or '.join(_ARGUMENTS)}")
        return forced
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    depends_on = [platform.release(), _cpu(), _qemu_version(), *_ARGUMENTS["kvm"]]
    file = cache_dir() / "accel.json"
    known = _known(file, depends_on)
    if known:
        return known
    with exclusive("accel"):
        choice = _known(file, depends_on)
        if not choice:
            choice = "kvm" if _kvm_boots(kernel) else "tcg"
            say(f"accelerator: {choice}")
            replacement = file.with_suffix(".new")
            replacement.write_text(json.dumps({"choice": choice, "depends_on": depends_on}))
            replacement.rename(file)
    return choice


def _known(file: Path, depends_on: list[str]) -> str | None:
    try:
        verdict = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return str(verdict["choice"]) if verdict.get("depends_on") == depends_on else None


def _kvm_boots(kernel: Path) -> bool:
    with scratch("accel") as directory:
        console = directory / "console"
        command = (
            *LEASH, QEMU, *_ARGUMENTS["kvm"], "-m", "512", "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-serial", f"file:{console}", "-kernel", str(kernel),
            "-append", "console=ttyS0 panic=-1",
        )  # fmt: skip
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            deadline = time.monotonic() + _PROBE_SECONDS
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
            if process.stdin:
                process.stdin.close()
            process.wait(10)
        return console.exists() and _BOOTED in console.read_text(errors="replace")


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


@cache
def _qemu_version() -> str:
    done = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]
