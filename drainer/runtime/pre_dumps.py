"""How often a container's memory is saved before it is frozen: as live migration does, purely."""

from collections.abc import Sequence

MOST = 3
"""How often, at most."""
SMALL = 16 << 20
"""Bytes of changed memory that are not worth another pre-dump."""
IN_VAIN = 0.9
"""The part of the first pre-dump that changes until the next one if it was for nothing."""


def pays(sizes: Sequence[int]) -> bool:
    """Tell whether one more pre-dump pays, after those that saved so many bytes."""
    if not sizes:
        return True
    before = sizes[-2] if len(sizes) > 1 else None
    changed = sizes[-1] > SMALL and (before is None or sizes[-1] < before / 2)
    return changed and len(sizes) < MOST


def in_vain(sizes: Sequence[int]) -> bool:
    """Tell whether a dump of all is as good: what it needs of these is not worth their room."""
    return len(sizes) > 1 and sizes[-1] > sizes[0] * IN_VAIN
