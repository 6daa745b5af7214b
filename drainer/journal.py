"""Lines for the journal, with fields and message ids, where systemd runs us.

The native protocol (systemd docs/JOURNAL_NATIVE_PROTOCOL.md), as the stream that systemd gives us
has no fields. `systemd/drainer.catalog` explains each event: `journalctl -x` shows it.
"""

import os
import socket
import stat
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum, unique

SOCKET = "/run/systemd/journal/socket"
CONSOLE_VARIABLE = "DRAINER_CONSOLE"
"""Names a terminal that every line is written to, too; set by the units."""


@unique
class Event(StrEnum):
    """What happened, by its message id in the journal."""

    DRAINED = "4f88620d9f524e54ae856ee5a37b1c94"
    RESTORED = "2291e33522ba4f5bbe045d76b97b80cd"
    STARTED_COLD = "3b951aaa42704442ba20a7eb618aa396"
    LEFT = "92fa6d650bdc4947848d344e7292a9a9"
    GONE = "c91a2f16642e458f82cecb5abb7377a1"
    CANNOT_START = "9730b5894fc94566afb4b8f9f635fde1"
    DRAIN_ENDED = "26481f88447f4e4d8d32d803bfdbaf8c"
    RESUME_ENDED = "1730b136a5ae4e34835124ee459d2593"
    HOOK_FAILED = "6cfc290e23eb4529ad847690fc281706"
    FAILED = "33dacc33fbed4fa4a5899041edd81e0b"


SEVERE = {
    Event.STARTED_COLD: 4,
    Event.CANNOT_START: 3,
    Event.HOOK_FAILED: 4,
    Event.FAILED: 3,
}
"""What is not merely told (6), by the levels of syslog(3): warnings and errors."""
_TOLD = 6
_PATIENCE = 1.0
"""Seconds for which a journal that is busy is waited for, once."""


def is_ours(descriptor: int = 2, variables: Mapping[str, str] = os.environ) -> bool:
    """Tell whether what is written there goes to the journal anyway (systemd.exec(5))."""
    device, _, inode = variables.get("JOURNAL_STREAM", "").partition(":")
    with suppress(OSError, ValueError):
        found = os.fstat(descriptor)
        return stat.S_ISSOCK(found.st_mode) and (found.st_dev, found.st_ino) == (
            int(device),
            int(inode),
        )
    return False


class _Journal:
    """The journal, until it does not take an entry: it is not to be waited for at every line."""

    def __init__(self) -> None:
        self.answers = True


_journal = _Journal()


def send(message: str, event: Event | None, fields: Mapping[str, str], path: str = SOCKET) -> bool:
    """Send one entry; tell whether the journal took it. Never raises.

    `message` and the values of `fields` are printable lines.
    """
    if not _journal.answers:
        return False
    entry = {
        "MESSAGE": message,
        "PRIORITY": str(SEVERE.get(event, _TOLD) if event else _TOLD),
        "SYSLOG_IDENTIFIER": "drainer",
        **({"MESSAGE_ID": event.value} if event else {}),
        **fields,
    }
    data = "".join(f"{key}={value}\n" for key, value in entry.items()).encode()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(_PATIENCE)
            channel.sendto(data, path)
    except OSError:
        _journal.answers = False
    return _journal.answers


class _Console:
    """The console that the unit names, opened once: closing a serial line can take its time."""

    def __init__(self) -> None:
        self._descriptor: int | None = None

    def write(self, path: str, data: bytes) -> None:
        """Write without waiting. Raises `OSError`."""
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
            self._descriptor = os.open(path, flags)
        os.write(self._descriptor, data)


_console = _Console()


def show_on_console(line: str, variables: Mapping[str, str] = os.environ) -> None:
    """Write a line to the console that the unit names, unless that would have to be waited for."""
    if path := variables.get(CONSOLE_VARIABLE, ""):
        with suppress(OSError):
            _console.write(path, f"{line}\r\n".encode())
