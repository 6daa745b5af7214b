"""Where drainer's own executable is, and whether the units can rely on it at every boot."""

import os
import re
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from drainer.errors import ConfigInvalidError
from drainer.host.procfs import Proc, parse_mountinfo

REFUSED = tuple(map(Path, ("/home", "/root", "/tmp", "/var/tmp", "/run", "/dev")))  # noqa: S108 - refused, not used
"""Places that come late at boot, are a user's, or are emptied."""

_VOLATILE = {"tmpfs", "ramfs"}
_PLAIN = re.compile(r"/[A-Za-z0-9/._+-]*")
_HINT = "install it for the whole system, as the README says, below /opt"
_MAX_SHEBANG = 4096


def own_program() -> Path:
    """Return the path of the `drainer` executable of this installation."""
    beside_python = Path(sys.prefix, "bin", "drainer")
    return beside_python if beside_python.exists() else Path(sys.argv[0]).absolute()


def check_program(program: Path, refused: Sequence[Path] = REFUSED) -> None:
    """Raise `ConfigInvalidError` unless a unit can run `program` at every boot, as root.

    Its interpreter, named in its first line, must be as reliable as itself.
    """
    if not program.is_file() or not os.access(program, os.X_OK):
        raise ConfigInvalidError(f"{str(program)!r} is not an executable file", _HINT)
    interpreter = _interpreter(program)
    for path in filter(None, (program, interpreter)):
        if not _PLAIN.fullmatch(str(path)):
            problem = f"{str(path)!r}: a unit needs an absolute path without special characters"
            raise ConfigInvalidError(problem, _HINT)
        for place in dict.fromkeys((path, path.resolve())):
            _check_place(place, refused)


def _interpreter(program: Path) -> Path | None:
    with program.open("rb") as file:
        first = file.readline(_MAX_SHEBANG)
    words = first[2:].split() if first.startswith(b"#!") else []
    return Path(os.fsdecode(words[0])) if words else None


def _check_place(path: Path, refused: Sequence[Path]) -> None:
    for place in refused:
        if path.is_relative_to(place):
            raise ConfigInvalidError(f"{path} is below {place}: not there at every boot", _HINT)
    try:
        found = path.stat()
        parents = [parent.stat() for parent in path.parents]
    except OSError as error:
        raise ConfigInvalidError(f"{path}: {error.strerror}", _HINT) from error
    if _kind(found.st_dev) in _VOLATILE:
        raise ConfigInvalidError(f"{path} is in memory: gone after a reboot", _HINT)
    if any(map(_others_can_change, (found, *parents))):
        raise ConfigInvalidError(f"{path} can be changed by others than root", _HINT)


def _others_can_change(found: os.stat_result) -> bool:
    sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    return found.st_uid != 0 or bool(found.st_mode & stat.S_IWOTH and not sticky)


def _kind(device: int) -> str:
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts = parse_mountinfo(Proc().text("self", "mountinfo"))
    return next((mount.kind for mount in mounts if mount.device == number), "")
