"""That the drain of the last shutdown failed as a whole: then no manifest tells of it."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass

from drainer.errors import DrainerError
from drainer.store.files import StateDirectory

NAME = "failed-drain.json"
LIMIT = 1 << 16
LENGTH = 1000
"""Characters of a reason, at most."""


@dataclass(frozen=True, slots=True)
class FailedDrain:
    """A drain that has written no manifest."""

    at: str
    """When it failed: RFC 3339, in UTC."""
    why: str
    hint: str = ""


def write(directory: StateDirectory, failed: FailedDrain) -> None:
    """Keep it until the next drain; durable when this returns. Raises `DrainerError`."""
    kept = FailedDrain(failed.at, failed.why[:LENGTH], failed.hint[:LENGTH])
    directory.write(NAME, json.dumps(asdict(kept)).encode(), reserve=True)


def read(directory: StateDirectory) -> FailedDrain | None:
    """Return what was kept; None if nothing was, or it cannot be read."""
    with suppress(OSError, DrainerError, ValueError, LookupError, TypeError):
        found = json.loads(directory.read(NAME, LIMIT))
        return FailedDrain(str(found["at"]), str(found["why"]), str(found["hint"]))
    return None


def forget(directory: StateDirectory) -> None:
    """Keep none. Raises `DrainerError`."""
    if directory.exists(NAME):
        directory.remove(NAME)
