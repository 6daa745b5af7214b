"""Every rule that was tried on one container, and its answers."""

import re
from dataclasses import replace

import pytest

from drainer.engine.fake import FACTS as ENGINE
from drainer.errors import ExitCode
from drainer.explain import Answer, Line, explain, find
from drainer.host.fake import FACTS as HOST
from drainer.model import Container, EngineFacts, Plan, ProcessFacts, Route
from drainer.plan import make_plan
from drainer.rules import NOTES, REFUSALS, SKIPS
from tests.unit.command import Drainer
from tests.unit.world import World

PROCESSES = ProcessFacts(count=1, runtime="runc", runtime_root="/run/x")


def plan_of(*containers: Container, engine: EngineFacts = ENGINE) -> Plan:
    return make_plan(HOST, engine, containers, {c.id: PROCESSES for c in containers})


def lines_of(container: Container, engine: EngineFacts = ENGINE) -> dict[str, Line]:
    plan = plan_of(container, engine=engine)
    return {line.rule: line for line in explain(plan, plan.entries[0])}


def test_every_rule_is_there_once() -> None:
    container = Container("1" * 64, "web")
    plan = plan_of(container)
    rules = [line.rule for line in explain(plan, plan.entries[0])]
    known = {*(r.id for r in REFUSALS), *(r.id for r in SKIPS), *(r.id for r in NOTES)}
    assert sorted(rules) == sorted(known)


def test_what_is_against_it_comes_first_and_says_why() -> None:
    lines = list(lines_of(Container("1" * 64, "web", tty=True)).values())
    assert lines[0].rule == "tty"
    assert dict(lines[0].answers) == {Route.ENGINE: Answer.NO, Route.RUNTIME: Answer.NO}
    assert lines[0].finding
    assert not any(line.speaks for line in lines[1:])


def test_a_route_that_the_host_refuses_is_asked_nothing_more() -> None:
    lines = lines_of(Container("1" * 64, "web"), replace(ENGINE, experimental=False))
    refusal = dict(lines["engine_not_experimental"].answers)
    assert refusal == {Route.ENGINE: Answer.NO, Route.RUNTIME: Answer.NOT_ASKED}
    assert dict(lines["tty"].answers) == {Route.ENGINE: Answer.NOT_ASKED, Route.RUNTIME: Answer.OK}


def test_a_note_is_of_no_route_that_the_host_refuses() -> None:
    lines = lines_of(
        Container("1" * 64, "web", exec_sessions=1), replace(ENGINE, experimental=False)
    )
    assert dict(lines["exec_sessions"].answers) == {
        Route.ENGINE: Answer.NOT_ASKED,
        Route.RUNTIME: Answer.NOTE,
    }


def test_a_note_is_no_refusal() -> None:
    lines = lines_of(Container("1" * 64, "web", exec_sessions=1))
    assert set(dict(lines["exec_sessions"].answers).values()) == {Answer.NOTE}
    skipped = lines_of(Container("1" * 64, "web", tty=True, exec_sessions=1))
    assert set(dict(skipped["exec_sessions"].answers).values()) == {Answer.NOT_ASKED}


def test_containers_go_by_name_or_by_the_start_of_an_id() -> None:
    plan = plan_of(Container("ab" * 32, "web"), Container("ac" * 32, "a"))
    assert [e.container.name for e in find(plan, "web")] == ["web"]
    assert [e.container.name for e in find(plan, "ab")] == ["web"]
    # A name comes before the start of an id.
    assert [e.container.name for e in find(plan, "a")] == ["a"]
    assert (find(plan, ""), find(plan, "x")) == ((), ())


@pytest.fixture
def drainer(drainer: Drainer, world: World) -> Drainer:
    world.add("web", "always")
    world.add("shell", "always", tty=True)
    return drainer


def test_the_command_explains(drainer: Drainer) -> None:
    assert drainer("plan", "--explain", "shell") == ExitCode.OK
    assert drainer.out.startswith("shell: would be skipped: tty\n")
    assert re.search(r"^RULE +ENGINE +RUNTIME +ANSWER", drainer.out, re.MULTILINE)
    assert re.search(r"^tty +no +no +It has a terminal", drainer.out, re.MULTILINE)
    assert "\n  tty: " in drainer.out
    assert drainer("plan", "--explain", "web") == ExitCode.OK
    assert drainer.out.startswith("web: would be carried, on the engine route\n")
    assert drainer("plan", "--explain", "web", "--json") == ExitCode.OK
    assert drainer.json["explanation"]["route"] == "engine"


def test_a_name_that_nobody_has_is_an_error(drainer: Drainer) -> None:
    assert drainer("plan", "--explain", "nobody\x1b") == ExitCode.USAGE
    assert "none runs" in drainer.err
    assert "\x1b" not in drainer.err
    assert len(drainer.err.splitlines()) == 2
