"""One step of a drain for each of a team of containers."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from drainer.manifest import Entry

Failures = dict[str, Exception]
"""What went wrong, by container id."""


def each(step: Callable[[Entry], object], team: list[Entry], at_once: int = 1) -> Failures:
    """Take a step with each; return what failed. After a failure no other begins."""
    failures: Failures = {}

    def take(entry: Entry) -> None:
        if failures:
            return
        try:
            step(entry)
        except Exception as error:  # noqa: BLE001 - raised again when all are given back
            failures[entry.id] = error

    if min(len(team), at_once) <= 1:
        for entry in team:
            take(entry)
        return failures
    with ThreadPoolExecutor(min(at_once, len(team)), thread_name_prefix="team") as pool:
        list(pool.map(take, team))
    return failures
