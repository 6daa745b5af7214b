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
EARLY, LATE = 120.0, 600.0
"""Seconds before and after its time in which a shutdown is the one that was asked for."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a person said who asked for a drain or a reboot."""

    reason: str = ""
    by: str = ""
    at: float = 0.0
    """When the host is to go down, in seconds since 1970; 0 for now."""


def write(request: Request, path: Path | None = None) -> None:
    """Keep a request until the next boot. Raises `StorageError`."""
    path = path or PATH
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        replace_file(path, json.dumps(asdict(request)).encode(), 0o600)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error


def read(now: float, path: Path | None = None) -> Request:
    """Return the request of a shutdown that begins `now`, or an empty one. Never raises.

    One for another time was taken back by others than drainer (`shutdown -c`).
    """
    found = _read(path)
    fits = not found.at or found.at - EARLY <= now <= found.at + LATE
    return found if fits else Request()


def time_of(path: Path | None = None) -> float:
    """Return for when the request is that was kept; 0 for now, or if there is none."""
    return _read(path).at


def _read(path: Path | None) -> Request:
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        found = json.loads((path or PATH).read_text())
        at = float(found.get("at", 0.0))
        return Request(str(found["reason"])[:LENGTH], str(found["by"])[:LENGTH], at)
    return Request()


def exists(path: Path | None = None) -> bool:
    """Tell whether a request is kept."""
    return (path or PATH).exists()


def forget(path: Path | None = None) -> None:
    """Keep no request. Never raises."""
    with suppress(OSError):
        (path or PATH).unlink()
