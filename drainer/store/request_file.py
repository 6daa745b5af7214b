"""Why the host is about to go down, and who wants it: for the drain of the shutdown.

Kept where nothing outlasts a boot.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from drainer.errors import StorageError
from drainer.files import replace_file

PATH = Path("/run/drainer/request.json")
LENGTH = 300
"""Characters of a reason, at most."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a person said who asked for a drain or a reboot."""

    reason: str = ""
    by: str = ""


def write(request: Request, path: Path | None = None) -> None:
    """Keep a request until the next boot. Raises `StorageError`."""
    path = path or PATH
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        replace_file(path, json.dumps(asdict(request)).encode(), 0o600)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error


def read(path: Path | None = None) -> Request:
    """Return the request that was kept, or an empty one. Never raises."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads((path or PATH).read_text())
        return Request(str(found["reason"])[:LENGTH], str(found["by"])[:LENGTH])
    return Request()


def exists(path: Path | None = None) -> bool:
    """Tell whether a request is kept."""
    return (path or PATH).exists()


def forget(path: Path | None = None) -> None:
    """Keep no request. Never raises."""
    with suppress(OSError):
        (path or PATH).unlink()
