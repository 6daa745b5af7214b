"""Notes of the containers that are cut off their networks until the rest of their group is back.

There is a file for each container, with the names of the interfaces that were taken down for it.
"""

from contextlib import suppress
from pathlib import Path

from drainer.runtime import link

_NAME = "quiet"
_MOST = 4096
"""Characters of a note."""


def note(orders: Path, container: str) -> Path:
    """Return where a container's note is; `orders` is the directory of the orders."""
    return orders.parent / _NAME / container


def make(orders: Path) -> None:
    """Make room for notes. Raises `OSError`."""
    orders.parent.joinpath(_NAME).mkdir(mode=0o700, exist_ok=True)


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
