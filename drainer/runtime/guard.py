"""Packets of connections with other hosts are dropped until their container is back.

While a container is down its host would answer them itself, with a reset. From before the container
is killed until it is restored, and after a reboot from before there is a network
(`drainer-guard.service`), nobody answers: the other end takes the host for away, and tries again.
What the kernel has an entry for (`conntrack`) passes, and so does what begins a connection: a rule
that outlives its connection is in nobody's way.

The connections are noted beside each checkpoint. All notes together make the rules: for the kernel
now, and on disk for the boot.
"""

import errno
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from drainer.errors import RuntimeRefusedError
from drainer.files import replace_file
from drainer.host.run import Result, Runner, run, run_with
from drainer.runtime import conntrack
from drainer.runtime.base import CHECKPOINTS, CONNECTIONS, Place
from drainer.runtime.conntrack import Connection
from drainer.text import printable

CHAIN = "DRAINER-KEPT"
RULES = "guard.rules"
"""Below the state directory, while anything is guarded: what iptables-restore(8) takes at boot."""

MOST = 2000
"""Connections of one container: for each of them its packets are compared with a rule."""

_WAIT = "--wait=20"
"""iptables(8) waits so many seconds for others that change rules."""
# After the kernel has looked for an entry, and before addresses are changed.
_TABLE = (_WAIT, "-t", "mangle")
_JUMP = (
    *("PREROUTING", "-p", "tcp", "!", "--syn"),
    *("-m", "conntrack", "--ctstate", "INVALID,NEW", "-j", CHAIN),
)
_SECONDS = 30.0
_MOST_JUMPS = 4
_NOTHING_THERE = (1, 2)
"""iptables' statuses for a chain, or a rule, that does not exist."""

Feeder = Callable[[Sequence[str], float, bytes], Result]
"""Runs an argument list within a number of seconds, with this on its stdin."""


class Guard:
    """What is guarded below one state directory. Safe to use from several threads."""

    def __init__(self, state: Path, runner: Runner = run, feeder: Feeder = run_with) -> None:
        self._checkpoints = state / CHECKPOINTS
        self._rules = state / RULES
        self._run = runner
        self._feed = feeder
        self._lock = Lock()

    def begin(self, place: Place, connections: Collection[Connection]) -> None:
        """Guard these as well. Raises OSError and `RuntimeRefusedError`; then none of them is."""
        if len(connections) > MOST:
            raise RuntimeRefusedError(
                f"it has {len(connections)} connections to other hosts, and {MOST} can be kept"
            )
        with self._lock:
            try:
                for directory in (place.path.parent, place.path):
                    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                replace_file(place.connections, conntrack.text(connections).encode(), mode=0o600)
                connections = self._connections()
                self._write(connections)
                self._lay(connections)
            except (OSError, RuntimeRefusedError):
                self._drop(place)
                raise

    def end(self, place: Place) -> None:
        """Let packets of the connections of this checkpoint through. Never raises."""
        if os.path.lexists(place.connections):
            with self._lock:
                self._drop(place)

    def renew(self) -> None:
        """See that what is to be guarded is, and nothing else. Never raises."""
        if os.path.lexists(self._rules):
            with self._lock, suppress(OSError, RuntimeRefusedError):
                self._put_right()

    def clear(self) -> str:
        """Guard nothing; return the file that was removed for it, or nothing. Raises `OSError`."""
        if not os.path.lexists(self._rules):
            return ""
        with self._lock:
            for note in self._notes():
                note.unlink()
            try:
                self._put_right()
            except RuntimeRefusedError as error:
                raise OSError(errno.EBUSY, error.message, str(self._rules)) from error
        return str(self._rules)

    def _drop(self, place: Place) -> None:
        """Guard these no longer; what cannot be undone now is at the next `renew`."""
        with suppress(OSError, RuntimeRefusedError):
            place.connections.unlink(missing_ok=True)
            self._put_right()

    def _put_right(self) -> None:
        """Bring the kernel's rules, and then the file, in line with the notes."""
        if any(self._notes()):
            connections = self._connections()
            self._lay(connections)
            self._write(connections)
            return
        self._undo("-F", CHAIN)
        for _ in range(_MOST_JUMPS):
            if not self._undo("-D", *_JUMP):
                break
        self._undo("-X", CHAIN)
        # Last: as long as it is there, this is done once more.
        self._rules.unlink(missing_ok=True)

    def _lay(self, connections: Collection[Connection]) -> None:
        """Put the rules into the kernel, in place of those that are there."""
        jump = bool(self._iptables("-C", *_JUMP).status)
        data = rules(connections, jump=jump).encode()
        result = self._feed(["iptables-restore", _WAIT, "--noflush"], _SECONDS, data)
        if result.status:
            raise RuntimeRefusedError(f"its connections cannot be guarded: {_why(result)}")

    def _write(self, connections: Collection[Connection]) -> None:
        replace_file(self._rules, rules(connections, jump=True).encode(), mode=0o600)

    def _undo(self, *words: str) -> bool:
        """Tell whether there was anything to undo. Raises `RuntimeRefusedError`."""
        result = self._iptables(*words)
        if result.status not in {0, *_NOTHING_THERE}:
            raise RuntimeRefusedError(f"its guard cannot be ended: {_why(result)}")
        return not result.status

    def _iptables(self, *words: str) -> Result:
        return self._run(["iptables", *_TABLE, *words], _SECONDS)

    def _notes(self) -> list[Path]:
        return sorted(self._checkpoints.glob(f"*/*/{CONNECTIONS}"))

    def _connections(self) -> list[Connection]:
        found = []
        for note in self._notes():
            with suppress(OSError, ValueError):
                found += conntrack.read(note.read_text())
        return found


def _why(result: Result) -> str:
    lines = (result.errors or result.output).strip().splitlines()
    return printable(lines[0]) if lines else f"exit status {result.status}"


def rules(connections: Iterable[Connection], *, jump: bool) -> str:
    """Return what iptables-restore(8) is to be told; with `jump` also to go there."""
    lines = ["*mangle", f":{CHAIN} - [0:0]"]
    if jump:
        lines.append(f"-A {' '.join(_JUMP)}")
    for connection in connections:
        host, peer = connection.host, connection.peer
        ends = f"-s {peer.address} --sport {peer.port} -d {host.address} --dport {host.port}"
        lines.append(f"-A {CHAIN} -p tcp {ends} -j DROP")
    return "\n".join((*lines, "COMMIT", ""))
