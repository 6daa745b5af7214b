from dataclasses import replace

import pytest

from drainer.doctor.check import Context
from drainer.doctor.checks import CHECKS, diagnose
from drainer.doctor.facts import Configuration, Facts, LastDrain, Pending, Space
from drainer.install import UnitState
from drainer.model import ROUTES, Route
from drainer.rules import REFUSALS
from drainer.units import DRAIN_UNIT, RESUME_UNIT

from .facts import FACTS, GIB, SURROUNDINGS, around, on_host, summaries, verdicts, with_engine

ALL = ["engine: every network mode", "runtime: every network mode"]
UP = UnitState(DRAIN_UNIT, loaded=True, enabled=True, active=True, changed=False)


def test_all_is_well() -> None:
    diagnosis = diagnose(FACTS)
    assert verdicts(FACTS) == {}
    assert summaries(diagnosis) == ALL
    assert diagnosis.can_carry
    assert all(c.found and c.meaning and not c.advice for c in diagnosis.checks)
    assert [c.id for c in diagnosis.checks[-2:]] == ["route_engine", "route_runtime"]


CASES: tuple[tuple[Facts, dict[str, str]], ...] = (
    (
        with_engine(experimental=False),
        {"experimental": "note", "route_engine": "note"},
    ),
    (with_engine(version="28.5.2"), {"route_engine": "note"}),
    (
        with_engine(version="25.0.2"),
        {"docker": "note", "route_engine": "note"},
    ),
    (
        with_engine(rootless=True),
        {"docker": "problem", "route_engine": "problem", "route_runtime": "problem"},
    ),
    (
        on_host(criu=""),
        {"criu": "problem", "route_engine": "problem", "route_runtime": "problem"},
    ),
    (
        on_host(criu="3.17.1"),
        {"criu": "problem", "route_engine": "problem", "route_runtime": "problem"},
    ),
    (
        on_host(criu="3.17.1", criu_package="3.17.1-2+deb12u2", kernel="6.1.0-40-amd64"),
        {},
    ),
    (
        on_host(criu_problem="Error: no"),
        {"criu_check": "problem", "route_engine": "problem", "route_runtime": "problem"},
    ),
    (
        on_host(criu_features=("seccomp_suspend",)),
        {"criu_features": "problem", "route_engine": "problem", "route_runtime": "problem"},
    ),
    (on_host(runc=""), {"runc": "note", "route_runtime": "note"}),
    (on_host(stand_in=""), {"stand_in": "note", "route_runtime": "note"}),
    (around(left_over=("/usr/local/sbin/runc",)), {"stand_in": "note"}),
    (with_engine(live_restore=True), {"live_restore": "note"}),
    (with_engine(swarm=True), {"swarm": "note"}),
    (around(copies=Space("/tmp", "tmpfs", 10 * GIB)), {"copies": "note"}),
    (around(copies=Space("/tmp", "ext4", 1000)), {"copies": "note"}),
    (around(copies=Space("/tmp")), {}),
    (around(state=Space("/run", "tmpfs", 10 * GIB)), {"state_directory": "problem"}),
    (around(state=Space("/var", "ext4", 100 << 20)), {"state_directory": "note"}),
    (around(state=Space("/var", "ext4", 1000)), {"state_directory": "problem"}),
    (around(units=(replace(UP, loaded=False, enabled=False),)), {"units": "note"}),
    (around(units=(replace(UP, enabled=False),)), {"units": "note"}),
    (around(units=(replace(UP, active=False),)), {"units": "note"}),
    (around(units=(replace(UP, name=RESUME_UNIT, active=False),)), {}),
    (around(units=(replace(UP, changed=True),)), {"units": "note"}),
    (around(last_drain=LastDrain(Pending.WAITING, "x", 2)), {"last_drain": "note"}),
    (around(configuration=Configuration(("/etc/drainer/config.yaml",))), {}),
    (around(configuration=Configuration(problems=("x",))), {"configuration": "problem"}),
    (around(last_drain=LastDrain(Pending.FINISHED, "x")), {}),
    (
        around(last_drain=LastDrain(Pending.UNREADABLE, problem="line 3")),
        {"last_drain": "problem"},
    ),
    (
        around(initial_user_namespace=False),
        {"root": "problem", "route_engine": "problem", "route_runtime": "problem"},
    ),
    (
        replace(FACTS, engine=None, engine_problem="no socket"),
        {"docker": "problem", "route_engine": "problem", "route_runtime": "problem"},
    ),
)


@pytest.mark.parametrize(("facts", "expected"), CASES)
def test_what_is_wrong_is_named_and_nothing_else(facts: Facts, expected: dict[str, str]) -> None:
    assert verdicts(facts) == expected
    for check in diagnose(facts).checks:
        assert bool(check.advice) == (check.verdict != "ok"), check


def test_what_stops_the_only_route_asked_for_is_a_problem() -> None:
    facts = with_engine(experimental=False)
    found = verdicts(facts, (Route.ENGINE,))
    assert found == {"experimental": "problem", "route_engine": "problem"}
    assert not diagnose(facts, (Route.ENGINE,)).can_carry


def test_the_summaries_say_what_a_reboot_could_carry() -> None:
    assert summaries(diagnose(with_engine(experimental=False))) == [
        "engine: cannot: engine_not_experimental",
        "runtime: every network mode",
    ]
    assert summaries(diagnose(with_engine(version="28.5.2"))) == [
        "engine: only network mode host: netns_restore_broken",
        "runtime: every network mode",
    ]
    silent = replace(FACTS, engine=None, engine_problem="no socket")
    assert summaries(diagnose(silent)) == ["engine: cannot: docker", "runtime: cannot: docker"]


def test_the_temporary_directory_matters_to_the_engine_route_alone() -> None:
    facts = around(copies=Space("/tmp", "tmpfs", 10 * GIB))
    assert verdicts(facts, (Route.RUNTIME,)) == {}


def test_the_next_kernel_is_looked_at() -> None:
    assert verdicts(on_host(next_kernel="6.12.99")) == {}
    assert verdicts(on_host(next_kernel="7.2.12")) == {"next_kernel": "problem"}


def test_every_refusal_is_explained_by_a_check() -> None:
    """Make each rule answer in turn, and look whether a check other than the route's says so."""
    spoilt = {
        "engine_rootless": with_engine(rootless=True),
        "engine_not_experimental": with_engine(experimental=False),
        "criu_missing": on_host(criu=""),
        "criu_too_old": on_host(criu="3.17.1"),
        "criu_check_failed": on_host(criu_problem="no"),
        "engine_silent_cold_start": with_engine(version="20.10.24", containerd="1.4.13"),
        "engine_digest_bug": with_engine(version="25.0.1"),
        "runc_missing": on_host(runc=""),
        "stand_in_impossible": on_host(stand_in=""),
    }
    # What a trial has shown, doctor does not believe: it tries again.
    shown = {"engine_trial_failed", "runtime_trial_failed"}
    assert set(spoilt) == {rule.id for rule in REFUSALS} - shown
    rules = {rule.id: rule for rule in REFUSALS}
    for rule_id, facts in spoilt.items():
        said = [check(Context(facts)) for check in CHECKS]
        (check,) = [c for c in said if c.meaning == rules[rule_id].sentence]
        assert check.advice == rules[rule_id].advice
        assert rule_id in check.found


def test_ids_are_unique_and_do_not_depend_on_the_facts() -> None:
    expected = [c.id for c in diagnose(FACTS).checks]
    assert len(set(expected)) == len(expected) == len(CHECKS) + len(ROUTES)
    for facts, _ in CASES:
        assert [c.id for c in diagnose(facts).checks] == expected
    assert SURROUNDINGS.left_over == ()
