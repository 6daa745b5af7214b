"""What whoever logs in next is told of a resume (pam_motd(8)): only counts, no names."""

from contextlib import suppress
from pathlib import Path

from drainer.files import replace_file
from drainer.manifest import Manifest
from drainer.text import printable

PATH = Path("/run/motd.d/drainer")
"""Gone with the next boot, as is what it tells."""


def failed(at: str) -> str:
    """Say in one line that the drain of a shutdown failed at that time."""
    return f"drainer: the drain of the shutdown of {printable(at)} failed: `drainer report`"


def message(manifest: Manifest) -> str:
    """Sum a resume up in one line."""
    counts = ", ".join(f"{count} {state}" for state, count in manifest.counts.items())
    if manifest.pending:
        return f"drainer: containers still wait to be brought back ({counts}): `drainer status`"
    return f"drainer: carried over the last reboot: {counts or 'nothing'}. `drainer report`"


def exists(path: Path | None = None) -> bool:
    """Tell whether there is a message that a later resume has to put right."""
    return (path or PATH).exists()


def show(*lines: str, path: Path | None = None) -> None:
    """Have the next login told, in lines of ASCII. Never raises."""
    path = path or PATH
    with suppress(OSError):
        if not path.parent.exists():
            path.parent.mkdir()
            # Whatever the umask: those who log in read it, and the messages of others.
            path.parent.chmod(0o755)
        replace_file(path, "".join(f"{line}\n" for line in lines).encode("ascii"))


def withdraw(path: Path | None = None) -> str:
    """Tell no more of it; return where it was, empty if it was not. Raises `OSError`."""
    path = path or PATH
    try:
        path.unlink()
    except FileNotFoundError:
        return ""
    return str(path)
