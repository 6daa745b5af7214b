"""Where settings are read from, and which of these files root may believe."""

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from drainer.errors import ConfigInvalidError
from drainer.files import others_can_write

ROOTS = (
    Path("/etc/drainer"),
    Path("/run/drainer"),
    Path("/usr/local/lib/drainer"),
    Path("/usr/lib/drainer"),
)
"""The administrator's place first, then what is gone after a boot, then what packages bring."""
MAIN = "config.yaml"
DROP_INS = "config.d"
LIMIT = 1024 * 1024
"""Bytes that a file may have."""


def find(roots: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files that count, the weakest first: the main file, then drop-ins by name.

    By the rules of systemd (standard-conf.xml): of several files with one name the one in the
    first place counts, and a link to /dev/null leaves all of that name out.
    """
    mains = [root / MAIN for root in roots if os.path.lexists(root / MAIN)]
    drop_ins: dict[str, Path] = {}
    for root in roots:
        for path in _drop_ins(root / DROP_INS):
            drop_ins.setdefault(path.name, path)
    found = [*mains[:1], *(drop_ins[name] for name in sorted(drop_ins))]
    return tuple(path for path in found if os.path.realpath(path) != os.devnull)


def _drop_ins(directory: Path) -> Iterable[Path]:
    try:
        return [p for p in directory.iterdir() if p.suffix == ".yaml" and p.name[0] != "."]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _unreadable(directory, error) from error


def read(path: Path) -> str:
    """Read a file that nobody but root can have written. Raises `ConfigInvalidError`."""
    try:
        # Not to wait for a writer, should it be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(path, error) from error
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise ConfigInvalidError(f"{path}: not a regular file")
        if others_can_write(facts):
            raise ConfigInvalidError(
                f"{path}: others than root can write it", f"chown root {path} && chmod go-w {path}"
            )
        data = file.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise ConfigInvalidError(f"{path}: larger than {LIMIT} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigInvalidError(f"{path}: not UTF-8 at byte {error.start}") from error


def _unreadable(path: Path, error: OSError) -> ConfigInvalidError:
    return ConfigInvalidError(f"{path}: cannot be read: {error.strerror}")
