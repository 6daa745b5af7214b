"""What is under way, at the bottom of a terminal, while lines of what is done scroll above it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

UP_AND_CLEAR = "\x1b[1A\x1b[2K"
"""Go a line up and empty it (ECMA-48: CUU, EL)."""
TICK = 1.0
_ROWS = 12
"""Lines of what is under way, at most."""


class Board:
    """A block of lines that is drawn anew whenever something changes. Safe to use from threads."""

    def __init__(
        self,
        write: Callable[[str], object],
        width: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Draw by `write`, in lines shorter than `width` says."""
        self._write = write
        self._width = width
        self._clock = clock
        self._lock = threading.RLock()
        self._begun: dict[str, tuple[str, float]] = {}
        self._drawn = 0

    def line(self, text: str) -> None:
        """Let a line that stays scroll above the block."""
        with self._lock:
            self._draw(f"{text}\n")

    def under_way(self, name: str, doing: str) -> None:
        """Show what is being done with a container; its time goes on from its first step."""
        with self._lock:
            _, since = self._begun.get(name, ("", self._clock()))
            self._begun[name] = (doing, since)
            self._draw()

    def done(self, name: str) -> None:
        """Show a container no more."""
        with self._lock:
            if self._begun.pop(name, None):
                self._draw()

    def tick(self) -> None:
        """Show how long everything takes by now."""
        with self._lock:
            if self._begun:
                self._draw()

    def clear(self) -> None:
        """Take the block away."""
        with self._lock:
            self._begun.clear()
            self._draw()

    def _draw(self, above: str = "") -> None:
        now, room = self._clock(), self._width() - 1
        rows = [
            f"  {name}: {doing}, {now - since:.0f} s" for name, (doing, since) in self._oldest()
        ]
        if len(self._begun) > _ROWS:
            rows.append(f"  and {len(self._begun) - _ROWS} more")
        block = "".join(f"{row[:room]}\n" for row in rows)
        # A terminal that is gone stops no work.
        with suppress(OSError):
            self._write(UP_AND_CLEAR * self._drawn + above + block)
        self._drawn = len(rows)

    def _oldest(self) -> list[tuple[str, tuple[str, float]]]:
        return sorted(self._begun.items(), key=lambda item: item[1][1])[:_ROWS]


@contextmanager
def ticking(board: Board, seconds: float = TICK) -> Iterator[Board]:
    """Keep the times of a board going in the block, and take it away afterwards."""
    ended = threading.Event()

    def tick() -> None:
        while not ended.wait(seconds):
            board.tick()

    thread = threading.Thread(target=tick, name="live", daemon=True)
    thread.start()
    try:
        yield board
    finally:
        ended.set()
        thread.join()
        board.clear()
