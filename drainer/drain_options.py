"""How a drain is run."""

from dataclasses import dataclass

from drainer.config.choices import DumpFallback
from drainer.manifest import Entry
from drainer.model import Wish


@dataclass(frozen=True, slots=True)
class DrainOptions:
    """How a drain is run."""

    trigger: str = "manual"
    parallel: int = 2
    container_timeout: float = 300.0
    """Seconds that one checkpoint may take."""
    stop_failed: bool = False
    """Whether to stop a container in order that could not be checkpointed."""
    reason: str = ""
    """Why it was asked for, and by whom."""
    by: str = ""

    def stops_failed(self, wish: Wish) -> bool:
        """Tell whether a container of which this is wished is stopped if it cannot be dumped."""
        if wish.on_dump_failure is None:
            return self.stop_failed
        return wish.on_dump_failure is DumpFallback.STOP

    def seconds(self, entry: Entry) -> float:
        """Return how long a checkpoint of this container may take."""
        return entry.timeout or self.container_timeout
