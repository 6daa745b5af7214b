"""Every rule that was tried on one container, and what it answered. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from drainer.model import Finding, Plan, PlanEntry, Route
from drainer.rules import NOTES, REFUSALS, SKIPS, HostRule, Rule


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
    rules: tuple[HostRule | Rule, ...] = (*REFUSALS, *SKIPS)
    lines = [_line(rule, plan, entry) for rule in rules]
    lines += _notes(plan, entry)
    return tuple(sorted(lines, key=lambda line: not line.speaks))


def _line(rule: HostRule | Rule, plan: Plan, entry: PlanEntry) -> Line:
    found = {route: _of(rule.id, entry.against.get(route, ())) for route in plan.routes}
    refused = {route for route in plan.routes if _refused(entry.against.get(route, ()))}
    asked = {
        route
        for route in plan.routes
        if route in rule.routes and (isinstance(rule, HostRule) or route not in refused)
    }
    answers = tuple(
        (route, Answer.NO if found[route] else Answer.OK if route in asked else Answer.NOT_ASKED)
        for route in plan.routes
    )
    return Line(rule.id, answers, next(filter(None, found.values()), None))


def _notes(plan: Plan, entry: PlanEntry) -> Iterator[Line]:
    """Return the lines of the notes, which are made only of what is carried."""
    for rule in NOTES:
        note = _of(rule.id, entry.notes)
        answer = Answer.NOTE if note else Answer.NOT_ASKED if entry.reasons else Answer.OK
        answers = (
            (route, Answer.NOT_ASKED if _refused(entry.against.get(route, ())) else answer)
            for route in plan.routes
        )
        yield Line(rule.id, tuple(answers), note)


def _of(rule: str, findings: Iterable[Finding]) -> Finding | None:
    return next((finding for finding in findings if finding.id == rule), None)


def _refused(findings: Iterable[Finding]) -> bool:
    hosts = {rule.id for rule in REFUSALS}
    return any(finding.id in hosts for finding in findings)
