"""Find out from CRIU's own log why a checkpoint failed: Docker's message says only `errno 0`."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

BUNDLES = (
    Path("/run/containerd/io.containerd.runtime.v2.task/moby"),
    Path("/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby"),
)
"""Where containerd keeps the bundles of Docker's containers; second: a containerd of dockerd's."""

LOG = "criu-dump.log"
"""The shim copies the log here when a dump fails (containerd runtime/v2/runc/container.go)."""

LIMIT = 4 << 20
_ERROR = re.compile(r"^\([\d.]+\) (?:\s*\d+: )?Error \([^)]*\): (.*)$", re.MULTILINE)


def first_error(log: str) -> str:
    """Return the first error line's text; CRIU's later ones only tell that it gave up."""
    found = _ERROR.search(log)
    return found.group(1).strip() if found else ""


def dump_error(container: str, since: float, bundles: Iterable[Path] = BUNDLES) -> str:
    """Read why CRIU could not dump a container; empty if no log tells.

    The log lies in the bundle until the container stops or the next dump fails. One that was
    written before `since` (seconds since the epoch) tells of an earlier dump.
    """
    for bundle in bundles:
        try:
            descriptor = os.open(bundle / container / LOG, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "rb") as file:
                if os.fstat(descriptor).st_mtime >= since:
                    return first_error(file.read(LIMIT).decode(errors="replace"))
        except OSError:
            continue
    return ""
