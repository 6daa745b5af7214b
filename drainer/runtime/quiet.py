"""Containers that are cut off their networks until the rest of their group is ready, too.

A connection within the group ends, or loses what is under way, if one end speaks while the other
one is dumped or not yet restored. There is a note for each such container, with the names of the
interfaces that are down for it; it is written before they are taken down. Standard library only: it
is used by the stand-in for runc too.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

from drainer.runtime import link
from drainer.runtime.agent import put
from drainer.runtime.placeholder import started

SECONDS = 180.0
"""How long a container is cut off at most after drainer has died in a resume."""
POLL = 0.5
_NAME = "quiet"
_MOST = 4096
"""Characters of a note."""


def note(orders: Path, container: str) -> Path:
    """Return where a container's note is; `orders` is the directory of the orders."""
    return orders.parent / _NAME / container


def begin(file: Path, pid: int) -> tuple[str, ...]:
    """Cut the namespace of a process off; return the names of what is down for that.

    It is not, if that cannot be noted, or somebody has ended all silence meanwhile. Never raises.
    """
    with suppress(OSError):
        names = link.near_ends(pid)
        if not names:
            return ()
        for directory in (file.parent.parent, file.parent):
            directory.mkdir(mode=0o700, exist_ok=True)
        put(file, "\n".join(names))
        link.silence(names)
        if file.exists():
            return names
        link.speak(names)
    return ()


def speak(file: Path) -> None:
    """Undo what a note tells of, and remove it. Never raises."""
    with suppress(OSError, UnicodeDecodeError):
        link.speak(file.read_text()[:_MOST].split())
        file.unlink()


def end(orders: Path) -> None:
    """Undo all. Never raises."""
    directory = orders.parent / _NAME
    with suppress(OSError):
        for file in directory.iterdir():
            speak(file)
        directory.rmdir()
        orders.parent.rmdir()


def owner(pid: int | None = None) -> str:
    """Name a process, this one by default, so that it is not taken for a later one; or nothing."""
    pid = os.getpid() if pid is None else pid
    begun = started(pid)
    return f"{pid} {begun}" if begun >= 0 else ""


def watch(file: Path, names: tuple[str, ...], drainer: str) -> None:
    """Undo it when drainer has died and nobody else has, after `SECONDS`; returns when it is."""
    own = "\n".join(names)
    pid = drainer.partition(" ")[0]
    alive = time.monotonic()
    while _read(file) == own:
        if pid.isdecimal() and owner(int(pid)) == drainer:
            alive = time.monotonic()
        elif time.monotonic() - alive >= SECONDS:
            speak(file)
            return
        time.sleep(POLL)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
