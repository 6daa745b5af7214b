"""Who is let reach its networks again in a resume: each at its end, a group when all are there."""

import threading

from drainer.carriers.base import Carriers
from drainer.manifest import Entry
from drainer.store.manifest_file import Record


class Gathering:
    """Waits for the members of each group. Safe to use from several threads."""

    def __init__(self, record: Record, carriers: Carriers) -> None:
        """Wait for every container that has a group and something left to be done."""
        self._record = record
        self._carriers = carriers
        self._lock = threading.Lock()
        self._missing: dict[str, set[str]] = {}
        for entry in record.manifest.entries:
            if entry.group and not entry.state.ended:
                self._missing.setdefault(entry.group, set()).add(entry.id)

    def ended(self, entry: Entry) -> None:
        """Note that a container has come, or is about to come, to its end. Twice is harmless."""
        with self._lock:
            missing = self._missing.get(entry.group, set())
            last = missing == {entry.id}
            missing.discard(entry.id)
        if last:
            group = [e for e in self._record.manifest.entries if e.group == entry.group]
            for carrier in self._carriers.values():
                carrier.join(group)
        elif entry.group:
            return
        else:
            group = [entry]
        for member in group:
            self._carriers[member.route].end_guard(member)
