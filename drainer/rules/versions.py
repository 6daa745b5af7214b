"""Which CRIU a kernel needs."""

import re

from drainer.model import HostFacts
from drainer.versions import Version, version_of, version_text

NEXT_KERNEL = (
    "CRIU is too old for the newest kernel that is installed: if the host boots it, all containers "
    "are started from the beginning."
)

_FLOORS: tuple[tuple[Version, Version], ...] = (
    ((7, 1, 0), (4, 2, 1)),
    ((6, 16, 0), (4, 2, 0)),
)
_LOWEST_FLOOR: Version = (4, 1, 1)

_DEBIAN_12 = re.compile(r"3\.17\.1-2\+deb12u([0-9]{1,3})\b")
_DEBIAN_12_MENDED = 2


def is_mended(package: str, kernel: str) -> bool:
    """Tell whether a distribution's CRIU works on a kernel though its version is below the floor.

    Debian 12 has put CRIU 4.1.1's answer to the kernel's change into its 3.17.1-2+deb12u2; it was
    tried on its own kernel 6.1.
    """
    found = _DEBIAN_12.match(package)
    mended = found is not None and int(found[1]) >= _DEBIAN_12_MENDED
    return mended and version_of(kernel)[:2] == (6, 1)


def criu_floor(kernel: str) -> Version:
    """Return the lowest CRIU version that can restore on a kernel (`uname -r`).

    Kernel commit 12f147ddd6de made every CRIU before 4.1.1 fail at restoring mounts. It went
    into all stable series in mid-2025 and from there into the distributions' kernels, whose
    release strings do not tell whether they have it, and a dump on such a kernel still works:
    so 4.1.1 is the floor on every kernel, also on one whose version cannot be read. Kernel 6.16
    changed SO_PASSCRED (CRIU 4.2), and 7.1 broke dumps with 4.2.
    """
    release = version_of(kernel)
    for first, floor in _FLOORS:
        if release >= first:
            return floor
    return _LOWEST_FLOOR


def suits(host: HostFacts, kernel: str) -> bool:
    """Tell whether the host's CRIU can restore on a kernel."""
    return version_of(host.criu) >= criu_floor(kernel) or is_mended(host.criu_package, kernel)


def next_kernel_lack(host: HostFacts) -> str:
    """Say which CRIU the newest kernel that is installed would need; empty if this one will do.

    Also if there is none, or if it does not even suit the running kernel: that is said elsewhere.
    """
    release = host.next_kernel
    if not release or not host.criu or suits(host, release) or not suits(host, host.kernel):
        return ""
    needed = version_text(criu_floor(release))
    return f"kernel {release} needs CRIU {needed}, and this is {host.criu}"
