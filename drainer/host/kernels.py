"""Which kernels are installed: the newest one is what the next boot most likely runs."""

import re
from pathlib import Path

from drainer.text import printable
from drainer.versions import version_of

BOOT = Path("/boot")
MODULES = Path("/lib/modules")
_PREFIX = "vmlinuz-"


def newest(boot: Path = BOOT, modules: Path = MODULES) -> str:
    """Return the release of the newest kernel that is installed; empty when that cannot be told.

    Distributions keep the kernel as `/boot/vmlinuz-RELEASE`, or beside its modules. Rescue images
    have no version of a kernel's in their name. Never raises.
    """
    found = {name.removeprefix(_PREFIX) for name in _names(boot, f"{_PREFIX}*")}
    found |= {Path(name).parent.name for name in _names(modules, "*/vmlinuz")}
    releases = [printable(name) for name in found if version_of(name)[:1] > (0,)]
    return max(releases, key=lambda name: (version_of(name), _numbers(name)), default="")


def _numbers(release: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"[0-9]{1,9}", release)]


def _names(directory: Path, pattern: str) -> list[str]:
    try:
        return [str(path.relative_to(directory)) for path in directory.glob(pattern)]
    except OSError:
        return []
