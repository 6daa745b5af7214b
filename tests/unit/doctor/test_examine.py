import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from drainer.doctor.examine import look_around, take_facts
from drainer.doctor.facts import Pending
from drainer.engine.fake import FakeEngine
from drainer.host.fake import FakeHost
from drainer.host.run import MISSING, Result
from drainer.install import unit_states
from drainer.runtime import stand_in
from drainer.units import DRAIN_UNIT, FILES, RESUME_UNIT, render
from tests.unit.world import World

from .facts import SURROUNDINGS


def nothing_runs(arguments: Sequence[str], timeout: float) -> Result:  # noqa: ARG001 - a runner
    return Result(MISSING)


def systemctl(arguments: Sequence[str], timeout: float) -> Result:  # noqa: ARG001 - a runner
    if arguments[1] == "show":
        return Result(0, "loaded\n" if arguments[-1] == DRAIN_UNIT else "not-found\n")
    return Result(0 if arguments[-1] == DRAIN_UNIT else 3)


def test_this_machine_is_looked_at_and_nothing_is_created(tmp_path: Path) -> None:
    state = tmp_path / "not" / "there"
    found = look_around(state, units=tmp_path, orders=tmp_path / "orders", runner=nothing_runs)
    assert not (tmp_path / "not").exists()
    assert found.state.path == str(tmp_path)
    assert found.state.free
    assert found.state.kind
    assert found.copies.path.startswith("/")
    assert found.last_drain.pending is Pending.NEVER
    assert [unit.loaded for unit in found.units] == [False] * len(FILES)
    assert found.left_over == ()


def test_a_memory_file_system_without_a_limit_is_not_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = list(os.statvfs(tmp_path))
    found[2:5] = [0, 0, 0]
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result(found))
    seen = look_around(tmp_path, units=tmp_path, orders=tmp_path, runner=nothing_runs)
    assert seen.state.free is None


def test_a_host_that_tells_nothing(tmp_path: Path) -> None:
    found = look_around(tmp_path, proc=tmp_path / "proc", units=tmp_path, runner=nothing_runs)
    assert not found.initial_user_namespace
    assert found.copies.free is None
    assert found.state.kind == ""


def test_the_initial_user_namespace_maps_everybody(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    for text, expected in (("0 0 4294967295", True), ("0 100000 65536", False)):
        (tmp_path / "self" / "uid_map").write_text(f"   {text}\n")
        found = look_around(tmp_path, proc=tmp_path, units=tmp_path, runner=nothing_runs)
        assert found.initial_user_namespace is expected


def test_the_last_drain_is_told(world: World, tmp_path: Path) -> None:
    def pending() -> tuple[str, int]:
        last = look_around(world.state, units=tmp_path, runner=nothing_runs).last_drain
        return last.pending, last.down

    assert pending() == ("never", 0)
    world.add("web", "always")
    world.drain()
    assert pending() == ("waiting", 1)
    world.reboot()
    world.resume()
    assert pending() == ("finished", 0)
    (world.state / "manifest.yaml").write_text("junk")
    assert pending() == ("unreadable", 0)


def test_left_over_stand_ins_and_orders_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders, programs = tmp_path / "orders", tmp_path / "sbin"
    programs.mkdir()
    (orders / ("a" * 64)).mkdir(parents=True)
    file = programs / "runc"
    file.write_text(stand_in.script("/usr/bin/runc", orders))
    monkeypatch.setattr("drainer.host.containerd.search_path", lambda _proc: f"{programs}:/none")
    found = look_around(tmp_path, units=tmp_path, orders=orders, runner=nothing_runs)
    assert found.left_over == (str(file), str(orders / ("a" * 64)))
    file.write_text("#!/bin/sh\n")
    assert stand_in.left(f"{programs}:{programs}", tmp_path / "none") == ()


def test_the_units_are_looked_at(tmp_path: Path) -> None:
    for unit in FILES:
        (tmp_path / unit).write_text(render(unit, Path("/opt/drainer/bin/drainer")))
    os.truncate(tmp_path / RESUME_UNIT, 100)
    drain, resume, *others = unit_states(tmp_path, systemctl)
    assert (drain.loaded, drain.enabled, drain.active, drain.changed) == (True, True, True, False)
    assert (resume.loaded, resume.enabled, resume.changed) == (False, False, True)
    assert not any(unit.changed for unit in others)


def test_a_silent_docker_is_a_fact() -> None:
    engine = FakeEngine()
    host = FakeHost(engine)
    assert take_facts(engine, host, SURROUNDINGS).engine == engine.facts()
    engine.down = True
    facts = take_facts(engine, host, SURROUNDINGS)
    assert facts.engine is None
    assert "does not answer" in facts.engine_problem
    assert facts.host == host.facts()
