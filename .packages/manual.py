"""Manual pages, made of the pages in `docs/`."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from drainer import __version__

DOCS = Path(__file__).parent.parent / "docs"
_SEE = {
    "drainer": ("drainer.yaml(5)", "drainer-labels(7)", "docker-checkpoint(1)", "criu(8)"),
    "drainer.yaml": ("drainer(8)", "drainer-labels(7)"),
    "drainer-labels": ("drainer(8)", "drainer.yaml(5)"),
}
_LABELS = "Labels"


def pages() -> Iterator[tuple[str, int, str]]:
    """Yield each manual page: its name, its section, its text as roff."""
    commands = (DOCS / "commands.md").read_text(encoding="utf-8")
    labels = _section(commands, _LABELS)
    exits = (DOCS / "exit-codes.md").read_text(encoding="utf-8")
    body = commands.replace(labels, "") + "\n## Exit codes\n" + _section(exits, "Exit codes", 1)
    yield _page(
        "drainer", 8, "carry running Docker containers across a host reboot", body,
        "drainer [OPTIONS] COMMAND [ARGUMENTS]",
    )  # fmt: skip
    settings = (DOCS / "configuration.md").read_text(encoding="utf-8")
    yield _page(
        "drainer.yaml", 5, "settings of drainer", settings,
        "/etc/drainer/config.yaml /etc/drainer/config.d/*.yaml",
    )  # fmt: skip
    yield _page(
        "drainer-labels", 7, "what the owner of a container tells drainer", labels,
        "docker run --label drainer.NAME=VALUE ...",
    )  # fmt: skip


def _section(text: str, heading: str, skipped: int = 0) -> str:
    """Return a section with its heading, or without so many of its first lines.

    What is below headings of lower ranks belongs to it.
    """
    found = re.search(rf"^(#+) {heading}\n.*?(?=^#{{1,2}} |\Z)", text, re.MULTILINE | re.DOTALL)
    if not found:
        raise ValueError(heading)
    return "".join(found[0].splitlines(keepends=True)[skipped:])


def _page(name: str, section: int, what: str, markdown: str, synopsis: str) -> tuple[str, int, str]:
    lines = [
        f'.TH "{name.upper()}" "{section}" "" "drainer {__version__}" ""',
        ".SH NAME",
        f"{_plain(name)} \\- {_plain(what)}",
        ".SH SYNOPSIS",
        f"\\fB{_plain(synopsis)}\\fR",
        ".SH DESCRIPTION",
        *_roff(markdown),
        ".SH SEE ALSO",
        _plain(", ".join(_SEE[name])),
    ]
    return name, section, "\n".join((*lines, ""))


class _Writer:
    """Turns what our pages use of Markdown into lines of roff, token by token."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._opened: Token | None = None
        """What the text that comes next belongs to."""
        self._row: list[str] = []
        self._heads: list[str] = []

    def add(self, token: Token) -> None:
        """Take the next token."""
        take = getattr(self, f"_{token.type}", None)
        if take:
            take(token)
        if token.type != "inline":
            in_item = token.type == "paragraph_open" and self._is("list_item_open")
            self._opened = self._opened if in_item else token

    def _is(self, kind: str) -> bool:
        return self._opened is not None and self._opened.type == kind

    def _inline(self, token: Token) -> None:
        text = _text(token.children or ())
        if self._is("th_open") or self._is("td_open"):
            self._row.append(text)
        elif self._opened and self._opened.type == "heading_open":
            level = self._opened.tag
            if level != "h1":
                self.lines.append(f".SH {text.upper()}" if level == "h2" else f".SS {text}")
        else:
            self.lines.append(text)

    def _paragraph_open(self, _token: Token) -> None:
        if not self._is("list_item_open"):
            self.lines.append(".PP")

    def _list_item_open(self, token: Token) -> None:
        self.lines.append(f".IP {token.info}. 4" if token.info else ".IP \\(bu 4")

    def _fence(self, token: Token) -> None:
        code = (_plain(line) for line in token.content.rstrip("\n").split("\n"))
        self.lines += [".PP", ".nf", ".RS 4", *code, ".RE", ".fi"]

    def _thead_close(self, _token: Token) -> None:
        self._heads, self._row = self._row, []

    def _tr_open(self, _token: Token) -> None:
        self._row = []

    def _tr_close(self, _token: Token) -> None:
        """Show a row as a term and what is said of it: tables are too wide for a terminal."""
        if not self._heads:
            return
        term, *cells = self._row
        named = zip(self._heads[1:-1], cells[:-1], strict=True)
        words = (*cells[-1:], *(f"{head}: {cell}." for head, cell in named if cell))
        self.lines += [".TP", f"\\fB{term}\\fR", " ".join(words)]

    def _table_close(self, _token: Token) -> None:
        self._heads = []


def _roff(markdown: str) -> list[str]:
    writer = _Writer()
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        writer.add(token)
    return writer.lines


def _text(tokens: Sequence[Token]) -> str:
    parts = []
    for token in tokens:
        match token.type:
            case "text":
                parts.append(_plain(token.content))
            case "code_inline":
                parts.append(f"\\fB{_plain(token.content)}\\fR")
            case "softbreak" | "hardbreak":
                parts.append(" ")
            case "em_open":
                parts.append("\\fI")
            case "em_close" | "strong_close":
                parts.append("\\fR")
            case "strong_open":
                parts.append("\\fB")
            case _:
                continue
    text = "".join(parts)
    return f"\\&{text}" if text.startswith((".", "'")) else text


def _plain(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text
