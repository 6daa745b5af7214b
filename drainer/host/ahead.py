"""What was read of checkpoints since the boot, before Docker was up: their checksums.

They are good for this boot, and for files that are still the very same.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from drainer.runtime.agent import put

DIRECTORY = Path("/run/drainer-ahead")

_ENDED = "ended"

Identity = list[int]
"""What changes when a file is replaced or written to, whoever tries to hide it."""


def read(
    images: Path,
    names: Iterable[str],
    find: Callable[[], Mapping[str, str]],
    place: Path = DIRECTORY,
) -> None:
    """Note the checksums of the files of some names, from a directory, which `find` reads.

    Raises `OSError`, and what `find` raises.
    """
    before = _identities(images, names)
    found = {name: checksum for name, checksum in find().items() if checksum}
    after = _identities(images, found)
    content = {
        name: [checksum, *after[name]]
        for name, checksum in found.items()
        if name in after and before.get(name) == after[name]
    }
    place.mkdir(mode=0o700, exist_ok=True)
    put(place / _file(images), json.dumps(content))


def known(images: Path, place: Path = DIRECTORY) -> dict[str, str]:
    """Return the checksums that were noted of a directory's files, by name. Never raises."""
    with suppress(OSError, ValueError, TypeError, AttributeError):
        content = json.loads((place / _file(images)).read_bytes())
        seen = _identities(images, content)
        return {
            name: str(checksum)
            for name, (checksum, *identity) in content.items()
            if seen.get(name) == identity
        }
    return {}


def end(place: Path = DIRECTORY) -> None:
    """Let nothing more be read in this boot: a resume has begun. Never raises."""
    with suppress(OSError):
        place.mkdir(mode=0o700, exist_ok=True)
        (place / _ENDED).touch()


def ended(place: Path = DIRECTORY) -> bool:
    """Tell whether that was said."""
    return os.path.lexists(place / _ENDED)


def forget(place: Path = DIRECTORY) -> str:
    """Remove what was noted; return where it was, empty if nothing was. Raises `OSError`."""
    try:
        shutil.rmtree(place)
    except FileNotFoundError:
        return ""
    return str(place)


def _file(images: Path) -> str:
    return f"{hashlib.sha256(os.fsencode(images)).hexdigest()[:32]}.json"


def _identities(images: Path, names: Iterable[str]) -> dict[str, Identity]:
    """Return how the files of these names are found now; without those that are not there."""
    found: dict[str, Identity] = {}
    for name in names:
        with suppress(OSError):
            file = (images / name).lstat()
            times = (file.st_mtime_ns, file.st_ctime_ns)
            found[name] = [file.st_dev, file.st_ino, file.st_size, *times]
    return found
