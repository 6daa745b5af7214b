"""From facts to a diagnosis: every check, and what each route could carry. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drainer.doctor import places, software
from drainer.doctor.check import Check, CheckVerdict, Context
from drainer.doctor.facts import Facts
from drainer.doctor.routes import RouteReport, report
from drainer.model import ROUTES, Finding, Route

CHECKS: tuple[Callable[[Context], Check], ...] = (
    software.root,
    software.docker,
    software.experimental,
    software.criu,
    software.next_kernel,
    software.criu_check,
    software.criu_features,
    software.runc,
    software.stand_in,
    software.cgroup,
    software.live_restore,
    software.swarm,
    places.copies,
    places.state,
    places.configuration,
    places.units,
    places.last_drain,
)
"""All but those on the routes, which come last."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What this host can do and why not."""

    facts: Facts
    checks: tuple[Check, ...]
    routes: tuple[RouteReport, ...]

    @property
    def can_carry(self) -> bool:
        """Whether at least one route can carry something."""
        return any(route.works for route in self.routes)


def diagnose(facts: Facts, routes: Sequence[Route] = ROUTES) -> Diagnosis:
    """Look at everything, for a drain that may go by `routes`. Never raises."""
    context = Context(facts)
    reports = tuple(_reports(context, routes))
    context = Context(facts, reports)
    checks = (*(check(context) for check in CHECKS), *(_of_route(context, r) for r in reports))
    return Diagnosis(facts, checks, reports)


def _reports(context: Context, routes: Sequence[Route]) -> Sequence[RouteReport]:
    root, docker = software.root(context), software.docker(context)
    stopped = [check for check in (root,) if check.verdict is CheckVerdict.PROBLEM]
    stopped += [docker] if context.facts.engine is None else []
    if not stopped:
        return report(context.facts.host, context.engine, routes)
    found = tuple(Finding(c.id, c.meaning, c.advice, c.found) for c in stopped)
    return [RouteReport(route, found, {}) for route in routes]


def _of_route(context: Context, found: RouteReport) -> Check:
    name = f"route_{found.route}"
    if not found.reasons:
        meaning = "It can carry an ordinary container of every network mode."
        return Check(name, CheckVerdict.OK, found.summary, meaning)
    first = found.reasons[0]
    return Check(name, context.graver, found.summary, first.sentence, first.advice)
