"""The commands that README and docs show, for the tests that run them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def commands(page: str) -> tuple[str, ...]:
    """Return what a page tells its reader to type: `sh` blocks, and prompts of `console` blocks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        lines = block.splitlines()
        if language == "console":
            found += [line[2:] for line in lines if line.startswith("# ")]
        elif language == "sh" and not block.startswith("#!"):
            found += [re.sub(r" +# .*", "", line) for line in lines]
    return tuple(found)


def files(page: str) -> dict[str, str]:
    """Return the files that a page shows: those whose path stands in a comment at their head."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh|yaml)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    found = {}
    for block in blocks:
        path = re.match(r"(?:#!.*\n)?# (/\S+?):?(?: .*)?\n", block)
        if path:
            found[path[1]] = block
    return found
