"""How often a container's memory is saved before it is frozen: as live migration does, purely."""

from collections.abc import Sequence

MOST = 3
"""How often, at most."""
SMALL = 16 << 20
"""Bytes of changed memory that are not worth another pre-dump."""
IN_VAIN = 0.1
"""The part of the memory that is not worth the room of a pre-dump."""


def pays(sizes: Sequence[int]) -> bool:
    """Tell whether one more pre-dump pays, after those that saved so many bytes."""
    if not sizes:
        return True
    before = sizes[-2] if len(sizes) > 1 else None
    changed = sizes[-1] > SMALL and (before is None or sizes[-1] < before / 2)
    return changed and len(sizes) < MOST


def in_vain(part: float | None) -> bool:
    """Tell whether a dump of all is as good, when the last pre-dump left this part to the others.

    None is that of a pre-dump that had no other before it.
    """
    return part is not None and part < IN_VAIN
