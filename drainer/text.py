"""How untrusted words and plain numbers are shown to people."""

ELLIPSIS = "…"

_STEP = 1024
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def printable(text: str, limit: int = 200) -> str:
    r"""Make `text` safe for one line of a terminal or of the journal.

    Whatever Unicode does not call printable is shown as an escape (`\x1b`, `\n`, `\u202e`):
    control and format characters, lone surrogates, line breaks, every space but the ordinary one.
    The result has at most `limit` characters, the last of which is an ellipsis if it was cut.
    Markup such as rich's is not touched.
    """
    parts: list[str] = []
    length = 0
    cut = 0
    for char in text:
        part = char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        length += len(part)
        if length > limit:
            return "".join(parts[:cut]) + ELLIPSIS
        parts.append(part)
        if length < limit:
            cut = len(parts)
    return "".join(parts)


def size(count: int) -> str:
    """Show a number of bytes, such as `12.3 MiB`."""
    value = float(count)
    for unit in _UNITS:
        if round(abs(value), 1) < _STEP or unit == _UNITS[-1]:
            break
        value /= _STEP
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
