"""How far a drain is, in one line."""

import threading

from drainer.budget import measured
from drainer.manifest import Entry, State, moment
from drainer.model import Plan
from drainer.room import checkpoint_bytes


class Progress:
    """Follows the entries of one drain. Every method is safe to call from several threads."""

    def __init__(self, plan: Plan, parallel: int) -> None:
        """Begin with nothing done; `parallel` containers are worked on at once."""
        self._sizes = {e.container.id: checkpoint_bytes(e.expected_bytes) for e in plan.carried}
        self._parallel = parallel
        self._seen: dict[str, Entry] = {}
        self._lock = threading.Lock()

    def see(self, entry: Entry) -> str:
        """Take note of a change; return the line as it is now. Names in it are not escaped."""
        with self._lock:
            if entry.id in self._sizes:
                self._seen[entry.id] = entry
            return f"{self._line()}; {entry.name}: {entry.state}"

    def line(self) -> str:
        """Return how many are done of how many, and about how long the rest takes."""
        with self._lock:
            return self._line()

    def _line(self) -> str:
        done = {i for i, e in self._seen.items() if _is_done(e)}
        text = f"drain: {len(done)} of {len(self._sizes)} done"
        rest = [size for i, size in self._sizes.items() if i not in done]
        if not rest:
            return text
        pace = measured(self._seen.values())
        seconds = sum(map(pace.seconds, rest)) / min(self._at_once(), len(rest))
        return f"{text}, about {seconds:.0f} s to go"

    def _at_once(self) -> float:
        """Return how many were worked on at once so far, on average: large ones may have waited."""
        begun = {i: begin for i, e in self._seen.items() if (begin := e.moment(State.HELD))}
        if not begun:
            return self._parallel
        last = {i: max(filter(None, map(moment, self._seen[i].times.values()))) for i in begun}
        now = max(last.values())
        elapsed = now - min(begun.values())
        if elapsed <= 0:
            return self._parallel
        ends = {i: last[i] if _is_done(self._seen[i]) else now for i in begun}
        busy = sum(ends[i] - begin for i, begin in begun.items())
        return min(max(busy / elapsed, 1), self._parallel)


def _is_done(entry: Entry) -> bool:
    return entry.state.ended or entry.state is State.STOPPED
