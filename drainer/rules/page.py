"""The reference page of the rules, made from the registry."""

from collections.abc import Sequence

from drainer.rules import NOTES, REFUSALS, SKIPS, HostRule, Rule

_INTRO = """\
# Skip reasons

Before a drain, every running container is judged by the rules below. `drainer plan` shows the
result, with the ids of this page. The ids are stable: scripts may rely on them.

A container that is skipped is left alone: Docker stops it at the shutdown and starts it again,
from the beginning, as its restart policy says. `NAME` stands for the container's name or id.

This page is made by `python -m drainer.rules`.
"""

_REFUSALS = "Refusals: nothing can be carried on this host"
_SKIPS = "Skip reasons: this container is not carried"
_NOTES = "Notes: this container is carried, but its owner should know"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _section(title: str, rules: Sequence[HostRule | Rule]) -> str:
    rows = (
        f'| <a id="{rule.id}"></a>`{rule.id}` | {_cell(rule.sentence)} | {_cell(rule.advice)} |\n'
        for rule in rules
    )
    return f"\n## {title}\n\n| id | what is the case | what to do |\n|---|---|---|\n{''.join(rows)}"


def page() -> str:
    """Return the page docs/skip-reasons.md as Markdown."""
    return (
        _INTRO + _section(_REFUSALS, REFUSALS) + _section(_SKIPS, SKIPS) + _section(_NOTES, NOTES)
    )
