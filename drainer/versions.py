"""Version numbers."""

import re

Version = tuple[int, ...]

# Absurdly long digits would be refused by int().
_NUMBERS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,3}")


def version_of(text: str) -> Version:
    """Return the first dotted number in `text` with at least three parts.

    `26.1.5+dfsg1` gives `(26, 1, 5)`, `4.2` gives `(4, 2, 0)`; text without digits gives `()`,
    which is less than every version.
    """
    found = _NUMBERS.search(text)
    if found is None:
        return ()
    parts = tuple(int(part) for part in found[0].split("."))
    return parts + (0,) * (3 - len(parts))


def version_text(version: Version) -> str:
    """Return a version as it is commonly written."""
    return ".".join(str(part) for part in version)
