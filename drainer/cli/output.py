"""What people and programs read: tables, progress lines, JSON, errors."""

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper

from drainer.errors import ExitCode
from drainer.text import printable

FORMAT_VERSION = "1.0"
"""Of every JSON output. Within a major version fields are only added."""

LINE = 500
"""Characters of a line of progress, at most."""

WIDTH_WITHOUT_TERMINAL = 100
_LEAST = 20
"""Characters that a column which wraps has at least."""


def show_json(**content: object) -> None:
    """Print one JSON document, in ASCII and without control characters but its line breaks."""
    line(as_json({"format_version": FORMAT_VERSION, **content}))


def as_json(content: object) -> str:
    """Return JSON in ASCII."""
    return json.dumps(content, indent=2)


def show_error(message: str, hint: str, code: ExitCode, *, as_json: bool) -> None:
    """Print an error and its hint, one line each, on stderr, or as JSON on stdout."""
    if as_json:
        show_json(error={"code": int(code), "message": message, "hint": hint})
        return
    say(f"error: {message}")
    if hint:
        say(f"hint: {hint}")


def say(words: str) -> None:
    """Print one line on stderr, of words that may be untrusted; that nobody reads it stops no work.

    What is told is one line of the journal and of the console, whatever a container is called.
    """
    with suppress(OSError):
        print(f"drainer: {printable(words, LINE)}", file=sys.stderr, flush=True)  # noqa: T201


def escape_what_cannot_be_shown() -> None:
    """Let no character be an error, in a locale that has not all of them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; the first and the last column wrap. Cells may be untrusted."""
    from rich.console import Console  # noqa: PLC0415 - slow to import, and seldom needed
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(columns):
        cells = [len(name), *(len(printable(row[number], 300)) for row in rows)]
        least = min(max(cells), _LEAST) if number in {0, len(columns) - 1} else None
        table.add_column(name, no_wrap=least is None, min_width=least, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell, 300)) for cell in row))
    width = None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    console = Console(width=width, no_color=not colour, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(table)
    line(captured.get().rstrip("\n"))


def line(text: str = "") -> None:
    """Print a line on stdout; that nobody reads it changes no exit code."""
    try:
        print(text, flush=True)  # noqa: T201
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
