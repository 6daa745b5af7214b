"""Tables for people: the first and the last column wrap, the others are as wide as they must be."""

from collections.abc import Sequence
from textwrap import wrap

_GAP = "  "
_LEAST = 20
"""Characters that a column which wraps has at least, if it needs so many."""


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return the lines of a table that is `width` characters wide, or more if it must be.

    Cells are one line each, and printable.
    """
    cells = [tuple(columns), *map(tuple, rows)]
    widths = [max(len(row[number]) for row in cells) for number in range(len(columns))]
    last = len(columns) - 1
    fixed = sum(widths[1:last]) + len(_GAP) * last
    if last and sum(widths) + len(_GAP) * last > width:
        # What the last column needs it takes from the first one only when that is a long one.
        left = width - fixed
        widths[0] = min(widths[0], max(_LEAST, left // 2, left - widths[last]))
        widths[last] = min(widths[last], max(_LEAST, left - widths[0]))
    return [line for row in cells for line in _lines(row, widths)]


def _lines(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Return a row's lines: one, and more where a cell is folded."""
    folded = [_folded(cell, width) for cell, width in zip(row, widths, strict=True)]
    height = max(map(len, folded))
    return [
        _GAP.join(
            (part[number] if number < len(part) else "").ljust(width)
            for part, width in zip(folded, widths, strict=True)
        ).rstrip()
        for number in range(height)
    ]


def _folded(cell: str, width: int) -> list[str]:
    if len(cell) <= width:
        return [cell]
    return wrap(cell, width, break_on_hyphens=False)
