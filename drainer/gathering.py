"""Which groups are complete in a resume: each of them has come to its end."""

import threading
from collections.abc import Iterable

from drainer.manifest import Entry


class Gathering:
    """Counts the members of each group. Safe to use from several threads."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        """Wait for every container that has a group and something left to be done."""
        self._lock = threading.Lock()
        self._missing: dict[str, set[str]] = {}
        for entry in entries:
            if entry.group and not entry.state.ended:
                self._missing.setdefault(entry.group, set()).add(entry.id)

    def completes(self, entry: Entry) -> bool:
        """Note that a container has come to its end; tell whether its group is complete by that."""
        with self._lock:
            missing = self._missing.get(entry.group, set())
            if entry.id not in missing:
                return False
            missing.discard(entry.id)
            return not missing
