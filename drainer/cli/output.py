"""What people and programs read: tables, progress lines, JSON, errors."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from shutil import get_terminal_size

from drainer import journal
from drainer.cli.live import Board, ticking
from drainer.cli.table import paragraph, table
from drainer.errors import ExitCode
from drainer.journal import Event
from drainer.text import printable

FORMAT_VERSION = "1.0"
"""Of every JSON output. Within a major version fields are only added."""

LINE = 500
"""Characters of a line of progress, at most."""

LONG = 1500
"""Characters of an item, at most."""

WIDTH_WITHOUT_TERMINAL = 100


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
    say(f"error: {message}", Event.FAILED)
    if hint:
        say(f"hint: {hint}")


def say(words: str, event: Event | None = None, **fields: str) -> None:
    """Tell one line to whoever watches; words may be untrusted; that nobody reads it stops no work.

    It goes to stderr, or where that is the journal, to the journal with `fields`, and to the
    console that the unit names. It is one line whatever a container is called.
    """
    shown = f"drainer: {printable(words, LINE)}"
    known = {name: printable(value, LINE) for name, value in fields.items()}
    journal.show_on_console(shown)
    if journal.is_ours() and journal.send(printable(words, LINE), event, known):
        return
    if _boards:
        _boards[-1].line(shown)
        return
    with suppress(OSError):
        print(shown, file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def live(*, wanted: bool = True) -> Iterator[Board | None]:
    """Show what is under way in the block, where stderr is a terminal that can do that."""
    able = wanted and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if not able:
        yield None
        return
    with ticking(Board(_to_terminal, lambda: get_terminal_size().columns)) as board:
        _boards.append(board)
        try:
            yield board
        finally:
            _boards.remove(board)


_boards: list[Board] = []
"""Where lines go at the moment, if not simply to stderr."""


def _to_terminal(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def escape_what_cannot_be_shown() -> None:
    """Let no character be an error, in a locale that has not all of them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table as wide as the terminal. Cells may be untrusted."""
    terminal = sys.stdout.isatty()
    shown = [[printable(cell, 300) for cell in row] for row in rows]
    head, *body = table(columns, shown, _width())
    bold = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    line("\n".join((f"\x1b[1m{head}\x1b[0m" if bold else head, *body)))


def show_item(name: str, text: str) -> None:
    """Print an item of a list: its name, and words that may be untrusted, as wide as a table."""
    line("\n".join(paragraph(printable(f"{name}: {text}", LONG), _width())))


def _width() -> int:
    return get_terminal_size().columns if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL


def line(text: str = "") -> None:
    """Print a line on stdout; that nobody reads it changes no exit code."""
    try:
        print(text, flush=True)  # noqa: T201
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
