"""Which containers are worth most to their owners. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping

from drainer.model import PlanEntry

LOWEST, HIGHEST = -1000, 1000

_NUMBER = re.compile(r"[+-]?[0-9]{1,4}")


def parse(text: str) -> int | None:
    """Read a label's value; None for what is no whole number from `LOWEST` to `HIGHEST`."""
    if not _NUMBER.fullmatch(text.strip()):
        return None
    value = int(text)
    return value if LOWEST <= value <= HIGHEST else None


def effective(
    priorities: Mapping[str, int],
    needs: Mapping[str, Iterable[str]],
    wave_of: Mapping[str, int],
    carried: Collection[str],
) -> dict[str, int]:
    """Give each provider at least the priority of its users, which are nothing without it.

    Users that are not `carried` gain nothing by it, and do not count.
    """
    found = dict(priorities)
    for user in sorted(carried, key=lambda i: wave_of[i]):
        for provider in needs[user]:
            # A cycle was cut by the order of the waves.
            if provider in found and wave_of[provider] > wave_of[user]:
                found[provider] = max(found[provider], found[user])
    return found


def urgency(entries: Iterable[PlanEntry]) -> dict[str, int]:
    """Return by id how early each is to be drained: users come before the providers they block."""
    known = {e.container.id: e for e in entries}
    found = {key: e.priority for key, e in known.items()}
    for entry in sorted(known.values(), key=lambda e: -e.wave):
        key = entry.container.id
        for provider in entry.needs:
            if provider in known and known[provider].wave > entry.wave:
                found[key] = max(found[key], found[provider])
    return found
