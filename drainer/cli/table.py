"""Tables and paragraphs that fit the width: a table's first and last columns wrap."""

import re
from collections.abc import Sequence
from textwrap import wrap

_GAP = "  "
_COMMAND = re.compile(r"`[^`]*`")
_JOINT = "\0"
"""Stands for a space at which no line may end; it is in no text that is printable."""
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


def paragraph(text: str, width: int, indent: int = 4) -> list[str]:
    """Return the lines of a text, the first of which is indented less than the others.

    What is in backticks is a command to be copied, and stays on one line.
    """
    joined = _COMMAND.sub(lambda found: found[0].replace(" ", _JOINT), text)
    lines = wrap(
        joined,
        width,
        initial_indent=" " * (indent - 2),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_JOINT, " ") for line in lines]
