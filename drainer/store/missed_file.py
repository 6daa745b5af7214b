"""That the drain of the last shutdown failed as a whole: then no manifest tells of it."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass

from drainer.errors import DrainerError
from drainer.store.files import StateDirectory

NAME = "missed.json"
LIMIT = 1 << 16
LENGTH = 1000
"""Characters of a reason, at most."""


@dataclass(frozen=True, slots=True)
class Missed:
    """A drain that carried nothing on, or ended before it was through."""

    at: str
    """When it failed: RFC 3339, in UTC."""
    why: str
    hint: str = ""


def write(directory: StateDirectory, missed: Missed) -> None:
    """Keep it until the next drain; durable when this returns. Raises `DrainerError`."""
    kept = Missed(missed.at, missed.why[:LENGTH], missed.hint[:LENGTH])
    directory.write(NAME, json.dumps(asdict(kept)).encode(), reserve=True)


def read(directory: StateDirectory) -> Missed | None:
    """Return what was kept; None if nothing was, or it cannot be read."""
    with suppress(OSError, DrainerError, ValueError, LookupError, TypeError):
        found = json.loads(directory.read(NAME, LIMIT))
        return Missed(str(found["at"]), str(found["why"]), str(found["hint"]))
    return None


def forget(directory: StateDirectory) -> None:
    """Keep none. Raises `DrainerError`."""
    if directory.exists(NAME):
        directory.remove(NAME)
