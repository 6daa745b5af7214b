"""`drainer doctor` as a command: on a host in memory, with the code of a real drain and resume."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from drainer.cli.wiring import Settings
from drainer.doctor import rootfs
from drainer.errors import EngineError, EngineTimeoutError, ExitCode, HostIncapableError
from drainer.labels import LABEL_DOCTOR
from drainer.model import Container
from drainer.store.lock import lock
from tests.unit.command import Drainer
from tests.unit.world import World, container_id

from .facts import SURROUNDINGS


@pytest.fixture
def drainer(drainer: Drainer, monkeypatch: pytest.MonkeyPatch) -> Drainer:
    monkeypatch.setattr(Settings, "surroundings", lambda _self: SURROUNDINGS)
    monkeypatch.setattr(rootfs, "archive", lambda: b"root file system")
    monkeypatch.setattr("drainer.doctor.trial.CLEAN_PATIENCE", 0.0)
    monkeypatch.setattr("drainer.doctor.trial.POLL", 0.0)
    return drainer


def check_nothing_is_left(world: World) -> None:
    assert world.engine.trials() == ()
    assert world.engine.images == set()
    assert not list(world.state.glob("doctor"))
    assert world.engine.violations == ()


def test_doctor_touches_nothing(drainer: Drainer) -> None:
    drainer.world.state = drainer.world.state / "not there"
    assert drainer("doctor") == ExitCode.OK
    assert "engine: every network mode" in drainer.out
    assert "criu_check" in drainer.out
    assert {c.method for c in drainer.world.engine.calls} == {"facts"}
    assert not drainer.world.state.exists()


def test_what_is_wrong_comes_with_what_to_do(drainer: Drainer) -> None:
    facts = drainer.world.engine.facts()
    drainer.world.engine.change_facts(replace(facts, experimental=False))
    assert drainer("doctor") == ExitCode.OK
    assert drainer.out.count("drainer install --experimental") == 1
    assert "engine: cannot: engine_not_experimental" in drainer.out
    assert drainer("--route", "engine", "doctor") == ExitCode.HOST_INCAPABLE
    assert drainer("--route", "runtime", "doctor") == ExitCode.OK
    assert drainer("doctor", "--route", "engine", "--json") == ExitCode.HOST_INCAPABLE
    assert drainer.json["can_carry"] is False
    assert [r["route"] for r in drainer.json["routes"]] == ["engine"]


@pytest.mark.parametrize("words", [("doctor",), ("doctor", "--live")])
def test_without_docker_the_rest_is_told(drainer: Drainer, words: tuple[str, ...]) -> None:
    drainer.world.engine.down = True
    assert drainer(*words) == ExitCode.HOST_INCAPABLE
    assert "Docker does not answer" in drainer.out
    assert "CRIU 4.1.1" in drainer.out


def test_both_routes_are_tried_and_nothing_is_left(drainer: Drainer) -> None:
    drainer.world.add("web", "always")
    before = drainer.world.now("web")
    assert drainer("doctor", "--live", "--json") == ExitCode.OK
    engine, runtime = drainer.json["trials"]
    assert (engine["route"], runtime["route"]) == ("engine", "runtime")
    for trial in (engine, runtime):
        assert trial["restored"], trial["reason"]
        assert (trial["reason"], trial["network"]) == ("", "bridge")
        assert trial["size"] == 1 << 20
        assert 0 <= trial["dump_seconds"] <= trial["frozen_seconds"]
        assert trial["restore_seconds"] >= 0
    assert drainer.json["left_behind"] == []
    assert drainer.world.now("web") == before
    check_nothing_is_left(drainer.world)
    drainer.world.check_promise()
    touched = {c.container for c in drainer.world.engine.calls} - {""}
    assert container_id("web") not in touched
    assert drainer("doctor", "--live", "--route", "runtime") == ExitCode.OK
    assert drainer.out.count("restored") == 1


def test_on_the_engine_route_the_trial_uses_a_network_that_it_can_carry(drainer: Drainer) -> None:
    facts = drainer.world.engine.facts()
    drainer.world.engine.change_facts(replace(facts, version="28.5.2"))
    assert drainer("doctor", "--live", "--json") == ExitCode.OK
    assert [t["network"] for t in drainer.json["trials"]] == ["host", "bridge"]


def test_an_incapable_host_is_told_before_anything_is_touched(drainer: Drainer) -> None:
    drainer.world.host.host_facts = replace(drainer.world.host.host_facts, criu="3.17.1")
    assert drainer("doctor", "--live", "--json") == ExitCode.HOST_INCAPABLE
    assert drainer.json["trials"] is None
    assert {c.method for c in drainer.world.engine.calls} == {"facts"}
    assert list(drainer.world.state.iterdir()) == []


def test_without_programs_for_an_image_nothing_is_tried(
    drainer: Drainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impossible() -> bytes:
        raise HostIncapableError("no sh")

    monkeypatch.setattr(rootfs, "archive", impossible)
    assert drainer("doctor", "--live") == ExitCode.HOST_INCAPABLE
    check_nothing_is_left(drainer.world)


FAILURES: dict[str, tuple[Callable[[World], None], str]] = {
    "image": (lambda w: w.engine.script("import_image", error=EngineError("full")), "full"),
    "container": (lambda w: w.engine.script("create_trial", error=EngineError("no")), "no"),
    "dump": (lambda w: w.engine.script("create_checkpoint", error=EngineError("no dump")), "dump"),
    "restore": (
        lambda w: w.engine.script("start", nth=2, error=EngineError("criu failed")),
        "could not be restored: criu failed",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_route_that_fails_is_told_and_the_other_one_is_tried(
    drainer: Drainer, failure: str
) -> None:
    act, words = FAILURES[failure]
    act(drainer.world)
    assert drainer("doctor", "--live", "--json") == ExitCode.PARTIAL
    engine, runtime = drainer.json["trials"]
    assert not engine["restored"]
    assert words in engine["reason"]
    assert runtime["restored"]
    check_nothing_is_left(drainer.world)


def test_no_route_works_though_none_is_refused(drainer: Drainer) -> None:
    drainer.world.engine.script("create_checkpoint", error=EngineError("no"))
    drainer.world.engine.script("dump", error=EngineError("no"))
    assert drainer("doctor", "--live") == ExitCode.NOTHING_CARRIED
    assert "no" in drainer.out
    check_nothing_is_left(drainer.world)


def test_a_restore_that_lost_the_memory_is_no_restore(drainer: Drainer) -> None:
    def forget() -> None:
        (box,) = drainer.world.engine._daemon.boxes.values()
        box.token = "another"  # noqa: S105 - it is none

    drainer.world.engine.script("delete_checkpoint", run=forget)
    drainer("doctor", "--live", "--route", "engine", "--json")
    (trial,) = drainer.json["trials"]
    assert trial["reason"] == "it was reported restored, and has lost its memory"
    check_nothing_is_left(drainer.world)


def test_a_program_that_ends_is_no_success(drainer: Drainer) -> None:
    def die() -> None:
        (box,) = drainer.world.engine._daemon.boxes.values()
        drainer.world.engine._daemon.die(box, 127)

    drainer.world.engine.script("logs", run=die)
    assert drainer("doctor", "--live", "--route", "engine") == ExitCode.NOTHING_CARRIED
    assert "ended by itself" in drainer.out
    check_nothing_is_left(drainer.world)


def test_the_budget_ends_it(drainer: Drainer) -> None:
    assert drainer("doctor", "--live", "--budget", "10", "--json") == ExitCode.DEADLINE
    assert {t["reason"] for t in drainer.json["trials"]} == {"the budget ended before it"}
    check_nothing_is_left(drainer.world)


@pytest.mark.parametrize(
    "method", ["import_image", "create_trial", "logs", "create_checkpoint", "kill", "remove"]
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_still_cleans_up(drainer: Drainer, method: str, number: signal.Signals) -> None:
    drainer.world.engine.script(method, run=lambda: os.kill(os.getpid(), number))
    code = ExitCode.INTERRUPTED if number is signal.SIGINT else ExitCode.TERMINATED
    assert drainer("doctor", "--live", "--json") == code
    assert "interrupted" in {t["reason"] for t in drainer.json["trials"]}
    check_nothing_is_left(drainer.world)


def test_a_defect_still_cleans_up(drainer: Drainer) -> None:
    drainer.world.engine.script("create_checkpoint", error=ValueError("boo"))
    assert drainer("doctor", "--live") == ExitCode.UNEXPECTED
    check_nothing_is_left(drainer.world)


def test_what_a_killed_doctor_left_is_removed_by_the_next(drainer: Drainer) -> None:
    world = drainer.world
    world.engine.script("kill", error=EngineTimeoutError("late"))
    world.host.sees_groups = False
    for _ in range(2):
        world.engine.script("remove", error=EngineError("still being dumped"))
    assert drainer("doctor", "--live", "--route", "engine", "--json") != ExitCode.OK
    assert drainer.json["left_behind"]
    assert "will try again" in drainer.err
    assert len(world.engine.trials()) == 1
    assert (world.state / "doctor" / "manifest.yaml").exists()
    world.engine._scripts.clear()
    world.host.sees_groups = True
    world.host.removed.clear()
    assert drainer("doctor", "--live", "--route", "engine") == ExitCode.OK
    assert world.host.removed
    check_nothing_is_left(world)


def test_placeholders_of_a_killed_trial_are_removed(drainer: Drainer) -> None:
    engine = drainer.world.engine
    image = engine.import_image(b"")
    engine.create_trial(image, "drainer-doctor-killed", "bridge", ["sh"])
    engine.create_placeholder(image, "bridge", "drainer-placeholder-killed")
    assert drainer("doctor", "--live") == ExitCode.OK
    assert engine.placeholders() == ()
    check_nothing_is_left(drainer.world)


def test_what_is_others_is_not_removed(drainer: Drainer) -> None:
    drainer.world.add("named-otherwise", labels={LABEL_DOCTOR: "true"})
    drainer.world.engine.add(Container(container_id("drainer-doctor-x"), "drainer-doctor-x"))
    assert drainer("doctor", "--live") == ExitCode.OK
    assert len(drainer.world.engine.running()) == 2


def test_a_drain_that_waits_is_not_disturbed(drainer: Drainer) -> None:
    drainer.world.add("web", "always")
    assert drainer("drain") == ExitCode.OK
    manifest = (drainer.world.state / "manifest.yaml").read_bytes()
    assert drainer("doctor", "--live") == ExitCode.OK
    assert (drainer.world.state / "manifest.yaml").read_bytes() == manifest
    assert drainer("resume") == ExitCode.OK
    drainer.world.check_promise()


def test_another_drainer_at_work(drainer: Drainer, tmp_path: Path) -> None:
    del tmp_path
    with lock(Settings(drainer.world.state, "").state(), "drain"):
        assert drainer("doctor", "--live") == ExitCode.LOCKED
        assert drainer("doctor") == ExitCode.OK
    check_nothing_is_left(drainer.world)


def test_what_docker_says_cannot_drive_the_terminal(drainer: Drainer) -> None:
    drainer.world.engine.script("create_checkpoint", error=EngineError("\x1b[31m\u202e"))
    facts = drainer.world.engine.facts()
    drainer.world.engine.change_facts(replace(facts, cgroup_driver="\x1b[32m"))
    drainer("doctor", "--live")
    assert "\\x1b[32m" in drainer.out
    assert "\x1b" not in drainer.out + drainer.err
    assert "\u202e" not in drainer.out + drainer.err
