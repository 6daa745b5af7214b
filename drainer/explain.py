"""Every rule that was tried on one container, and what it answered. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from drainer.model import Finding, Plan, PlanEntry, Route
from drainer.rules import NOTES, REFUSALS, SKIPS, HostRule, Rule

_HOST_RULES = frozenset(rule.id for rule in REFUSALS)


class Answer(StrEnum):
    """What a rule says of a container on one route."""

    NO = "no"
    """It cannot be carried on it."""
    OK = "ok"
    NOT_ASKED = "-"
    """The rule does not count on it, or the host can carry nothing on it anyway."""
    NOTE = "note"
    """It can, and its owner should know something."""


@dataclass(frozen=True, slots=True)
class Line:
    """One rule and its answers."""

    rule: str
    answers: tuple[tuple[Route, Answer], ...]
    """One for each route of the plan, the preferred one first."""
    finding: Finding | None = None

    @property
    def speaks(self) -> bool:
        """Whether it has anything to say."""
        return self.finding is not None


def find(plan: Plan, wanted: str) -> tuple[PlanEntry, ...]:
    """Find containers by name, by whole id, or by the start of an id."""
    named = tuple(e for e in plan.entries if wanted in {e.container.name, e.container.id})
    return named or tuple(e for e in plan.entries if wanted and e.container.id.startswith(wanted))


def explain(plan: Plan, entry: PlanEntry) -> tuple[Line, ...]:
    """Return a line for each rule: those with something to say first, else in their own order."""
    against = {route: {f.id: f for f in entry.against.get(route, ())} for route in plan.routes}
    refused = {route for route, found in against.items() if _HOST_RULES & found.keys()}
    notes = {note.id: note for note in entry.notes}
    rules: tuple[HostRule | Rule, ...] = (*REFUSALS, *SKIPS)
    lines = [_line(rule, against, refused) for rule in rules]
    lines += [_note(rule, plan, notes.get(rule.id), refused, entry) for rule in NOTES]
    return tuple(sorted(lines, key=lambda line: not line.speaks))


def _line(
    rule: HostRule | Rule,
    against: Mapping[Route, Mapping[str, Finding]],
    refused: Collection[Route],
) -> Line:
    asked = set(rule.routes) if rule.id in _HOST_RULES else set(rule.routes).difference(refused)
    answers = tuple(
        (
            route,
            Answer.NO if rule.id in found else Answer.OK if route in asked else Answer.NOT_ASKED,
        )
        for route, found in against.items()
    )
    findings = (found[rule.id] for found in against.values() if rule.id in found)
    return Line(rule.id, answers, next(findings, None))


def _note(
    rule: Rule, plan: Plan, note: Finding | None, refused: Collection[Route], entry: PlanEntry
) -> Line:
    """Return the line of a note, which is made only of what is carried."""
    answer = Answer.NOTE if note else Answer.NOT_ASKED if entry.reasons else Answer.OK
    answers = ((r, Answer.NOT_ASKED if r in refused else answer) for r in plan.routes)
    return Line(rule.id, tuple(answers), note)
