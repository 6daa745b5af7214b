"""How long nothing could go on for want of disks or memory (Documentation/accounting/psi.rst)."""

import re

from drainer.host.procfs import Proc

_KINDS = ("io", "memory")
_FULL = re.compile(r"^full .*\btotal=(\d+)$", re.MULTILINE | re.ASCII)
_MICROSECONDS = 1e6


def stalled(proc: Proc) -> float | None:
    """Return for how many seconds since the boot no task went on, but waited for either of these.

    None where the kernel does not tell.
    """
    found = [row for kind in _KINDS if (row := _FULL.search(proc.text("pressure", kind)))]
    return sum(int(row[1]) for row in found) / _MICROSECONDS if found else None
