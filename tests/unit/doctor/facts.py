"""Facts of a host on which everything is all right, to be spoilt one at a time."""

from dataclasses import replace
from typing import Any

from drainer.doctor.checks import Diagnosis, diagnose
from drainer.doctor.facts import Facts, Space, Surroundings
from drainer.engine import fake as engine
from drainer.host import fake as host
from drainer.install import UnitState
from drainer.model import ROUTES, Route
from drainer.units import FILES

GIB = 1 << 30

SURROUNDINGS = Surroundings(
    initial_user_namespace=True,
    copies=Space("/tmp", "ext4", 10 * GIB),
    state=Space("/var/lib/drainer", "ext4", 10 * GIB),
    units=tuple(
        UnitState(name, loaded=True, enabled=True, active=True, changed=False) for name in FILES
    ),
)
FACTS = Facts(host.FACTS, SURROUNDINGS, engine.FACTS)


def around(**fields: Any) -> Facts:  # noqa: ANN401 - any field
    return replace(FACTS, surroundings=replace(SURROUNDINGS, **fields))


def on_host(**fields: Any) -> Facts:  # noqa: ANN401 - any field
    return replace(FACTS, host=replace(host.FACTS, **fields))


def with_engine(**fields: Any) -> Facts:  # noqa: ANN401 - any field
    return replace(FACTS, engine=replace(engine.FACTS, **fields))


def verdicts(facts: Facts, routes: tuple[Route, ...] = ROUTES) -> dict[str, str]:
    """Return the verdicts that are not `ok`, by check."""
    return {c.id: str(c.verdict) for c in diagnose(facts, routes).checks if c.verdict != "ok"}


def summaries(diagnosis: Diagnosis) -> list[str]:
    return [f"{r.route}: {r.summary}" for r in diagnosis.routes]
