from datetime import UTC, datetime
from pathlib import Path

import pytest

from drainer.drain import new_manifest, outcome_counts
from drainer.drain_options import DrainOptions
from drainer.errors import (
    CheckpointInvalidError,
    DrainerError,
    EngineError,
    EngineTimeoutError,
    StorageError,
)
from drainer.labels import LABEL_ENABLE
from drainer.manifest import CheckpointState, Entry, Manifest, State
from drainer.model import ROUTES, Mount, RestartPolicy, Route
from drainer.networks import Address
from drainer.runtime.base import Place
from tests.unit.world import Clock, Killed, World, container_id

POLICIES = ["no", "always", "unless-stopped", "on-failure"]


def state_of(manifest: Manifest, name: str) -> State:
    return next(e.state for e in manifest.entries if e.name == name)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_drained_container_is_down_with_its_policy_held_and_recorded(
    world: World, policy: str
) -> None:
    world.add("web", policy)
    manifest = world.drain()
    (entry,) = manifest.entries
    now = world.now("web")
    assert not now.running
    assert now.restart_policy.name == "no"
    assert entry.state is State.STOPPED
    assert entry.restart_policy.name == policy
    assert entry.checkpoint_state is CheckpointState.COMPLETE
    assert entry.size == 1 << 20
    assert world.file.read() == manifest


@pytest.mark.parametrize(("sees_groups", "killed"), [(True, State.STOPPED), (False, State.DUMPED)])
def test_each_state_is_on_disk_before_its_act_begins(
    world: World, sees_groups: bool, killed: State
) -> None:
    world.add("web", "always")
    world.host.sees_groups = sees_groups
    on_disk: dict[str, State] = {}

    def look(call: str) -> None:
        world.engine.script(
            call, run=lambda: on_disk.update({call: world.file.read().entries[0].state})
        )

    for call in ("set_restart_policy", "pause", "create_checkpoint", "kill"):
        look(call)
    world.drain()
    assert on_disk == {
        "set_restart_policy": State.HELD,
        "pause": State.DUMPING,
        "create_checkpoint": State.DUMPING,
        "kill": killed,
    }


def test_the_images_are_flushed_before_they_are_called_complete(world: World) -> None:
    world.add("web")
    flushed: dict[State, int] = {}
    world.drain(lambda e: flushed.update({e.state: len(world.host.flushed)}))
    assert flushed[State.DUMPING] == 0
    assert flushed[State.DUMPED] == 1


def test_it_is_paused_before_the_checkpoint_and_until_the_kill(world: World) -> None:
    world.add("web")
    world.drain()
    acts = [c.method for c in world.engine.calls if c.method not in {"sweep", "inspect", "facts"}]
    assert acts == ["running", "pause", "create_checkpoint", "kill"]


def test_users_go_down_before_their_providers(world: World) -> None:
    net = world.add("net")
    world.add("app", network_mode=f"container:{net.id}")
    world.drain()
    killed = [c.container for c in world.engine.calls if c.method == "kill"]
    assert killed == [container_id("app"), net.id]


def test_a_skipped_container_is_not_touched(world: World) -> None:
    world.add("shell", "always", tty=True)
    manifest = world.drain()
    assert state_of(manifest, "shell") is State.LEFT
    assert manifest.entries[0].skip_reason == "tty"
    assert {c.method for c in world.engine.calls} <= {"sweep", "running", "facts"}


@pytest.mark.parametrize("call", ["set_restart_policy", "pause", "create_checkpoint", "kill"])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("policy", ["no", "always"])
def test_what_fails_is_put_back_as_it_was_and_stops_no_other(
    world: World, call: str, policy: str, *, late: bool
) -> None:
    world.add("bad", policy)
    world.add("good", policy)
    world.engine.script(call, "bad", error=EngineError("it broke"), takes_effect=late)
    world.host.sees_groups = call != "kill"
    manifest = world.drain()
    assert state_of(manifest, "good") is State.STOPPED
    never_called = call == "set_restart_policy" and policy == "no"
    if never_called:
        assert state_of(manifest, "bad") is State.STOPPED
        return
    bad = next(e for e in manifest.entries if e.name == "bad")
    if call == "kill" and late:
        # Down, and not known how: a resume starts it cold.
        assert bad.state is State.DUMPED
        return
    assert bad.state is State.LEFT
    assert bad.detail == "it broke"
    now = world.now("bad")
    assert now.running
    assert not now.paused
    assert now.restart_policy.name == policy
    assert world.engine.memory("bad") == 100
    assert world.engine.checkpoints("bad") == ()
    assert outcome_counts(manifest) == (2, 1)


@pytest.mark.parametrize(
    ("route", "call"), [(Route.ENGINE, "create_checkpoint"), (Route.RUNTIME, "dump")]
)
@pytest.mark.parametrize("paused", [False, True])
def test_what_a_killed_criu_let_run_is_given_back(
    tmp_path: Path, route: Route, call: str, *, paused: bool
) -> None:
    world = World(tmp_path, routes=(route,))
    world.add("web", "always", paused=paused)
    identity = container_id("web")
    world.engine.script(call, run=lambda: world.engine.let_run(identity), error=EngineError("EOF"))
    manifest = world.drain()
    assert state_of(manifest, "web") is State.LEFT
    now = world.now("web")
    assert (now.running, now.paused, now.restart_policy.name) == (True, paused, "always")
    assert not world.engine.is_thawed(identity)


def test_what_cannot_be_frozen_again_stays_to_be_undone(world: World) -> None:
    world.add("web", "always")
    world.host.sees_groups = False
    identity = container_id("web")
    world.engine.script(
        "create_checkpoint", run=lambda: world.engine.let_run(identity), error=EngineError("EOF")
    )
    manifest = world.drain()
    assert state_of(manifest, "web") is State.DUMPING
    assert "container not paused" in manifest.entries[0].detail
    world.host.sees_groups = True
    assert state_of(world.resume(), "web") is State.LEFT
    world.check_promise()


def test_what_its_owner_stops_before_its_turn_stays_down(world: World) -> None:
    world.add("one", "always")
    world.add("two", "unless-stopped")
    world.engine.script("pause", "one", run=lambda: world.engine.stop(container_id("two")))
    manifest = world.drain()
    assert state_of(manifest, "one") is State.STOPPED
    assert state_of(manifest, "two") is State.LEFT
    two = world.now("two")
    assert (two.running, two.restart_policy.name) == (False, "unless-stopped")
    world.reboot()
    world.resume()
    assert not world.now("two").running


def test_incomplete_images_are_found_before_the_kill(world: World) -> None:
    web = world.add("web", "always")
    world.host.verify_checkpoint = _damaged  # type: ignore[method-assign]
    manifest = world.drain()
    assert state_of(manifest, "web") is State.LEFT
    assert manifest.entries[0].detail == "pages-1.img: too short"
    assert world.now("web").running
    assert world.engine.checkpoints(web.id) == ()
    assert "kill" not in [c.method for c in world.engine.calls]


def _damaged(directory: str) -> int:
    raise CheckpointInvalidError("pages-1.img: too short", directory)


def test_only_losses_are_noted_for_the_report(world: World) -> None:
    world.add("web", exec_sessions=2, addresses=(Address("bridge", "172.17.0.2"),))
    (note,) = world.drain().entries[0].notes
    assert "docker exec" in note


def test_the_cause_is_taken_from_criu_s_log(world: World) -> None:
    world.add("web")
    world.host.dump_errors[container_id("web")] = "inet: Connected TCP socket"
    world.engine.script("create_checkpoint", error=EngineError("criu failed: errno 0"))
    manifest = world.drain()
    assert manifest.entries[0].detail == "CRIU could not checkpoint it: inet: Connected TCP socket"


def test_a_time_out_is_told_as_such_and_undone(world: World) -> None:
    world.add("web", "always")
    world.engine.script("create_checkpoint", error=EngineTimeoutError("no answer in 5 s"))
    manifest = world.drain()
    entry = manifest.entries[0]
    assert entry.detail == "no answer in 5 s; undone, to be looked at again by a resume"
    assert entry.state is State.DUMPING
    assert world.now("web").running
    assert not world.now("web").paused
    assert world.now("web").restart_policy.name == "always"


def test_a_hold_that_takes_effect_after_its_time_out_is_undone_by_the_resume(world: World) -> None:
    world.add("web", "always")
    world.engine.script("set_restart_policy", error=EngineTimeoutError("no answer"))
    world.drain()
    world.engine.set_restart_policy("web", RestartPolicy("no"))
    world.reboot()
    world.resume()
    world.check_promise()


def test_a_kill_without_an_answer_that_was_carried_out(world: World) -> None:
    world.add("web", "always")
    error = EngineTimeoutError("no answer")
    world.engine.script("kill", error=error, takes_effect=True)
    assert state_of(world.drain(), "web") is State.STOPPED


def test_a_kill_without_an_answer_is_not_undone(world: World) -> None:
    world.add("web", "unless-stopped")
    world.host.sees_groups = False
    world.engine.script("kill", error=EngineTimeoutError("no answer"))
    manifest = world.drain()
    assert state_of(manifest, "web") is State.DUMPED
    world.engine.kill("web")
    world.reboot()
    assert world.resume().entries[0].state is State.STARTED_COLD
    world.check_promise()


@pytest.mark.parametrize("error", [EngineError("no"), EngineTimeoutError("no answer")])
def test_what_was_killed_frozen_is_restored_whatever_docker_says_of_it(
    world: World, error: EngineError
) -> None:
    world.add("web", "unless-stopped")
    world.engine.script("kill", error=error)
    assert state_of(world.drain(), "web") is State.STOPPED
    world.reboot()
    assert world.resume().entries[0].state is State.RESTORED
    world.check_promise()


def test_one_that_is_not_frozen_although_docker_says_so_is_given_back(world: World) -> None:
    world.add("web", "always")

    def refuse(_container: object) -> bool:
        raise DrainerError("it is not frozen")

    world.host.kill_frozen = refuse  # type: ignore[assignment,method-assign]
    (entry,) = world.drain().entries
    assert (entry.state, entry.detail) == (State.LEFT, "it is not frozen")
    world.check_promise()


def test_one_that_its_owner_stops_before_the_kill_is_not_restored(world: World) -> None:
    world.add("web", "always")
    world.engine.script("kill", error=EngineError("down"), run=lambda: world.engine.stop("web"))
    world.drain()
    world.reboot()
    world.resume()
    world.check_promise()


def test_what_could_not_be_given_back_is_never_restored_later(world: World) -> None:
    world.add("web", "always")
    world.engine.script("kill", error=EngineError("no"))
    world.engine.script("delete_checkpoint", error=EngineError("no"))
    world.drain()
    world.engine.tick()
    world.reboot()
    world.resume()
    world.check_promise()


def test_a_policy_that_could_not_be_put_back_is_not_forgotten_by_a_second_drain(
    world: World,
) -> None:
    world.add("web", "always")
    world.engine.script("create_checkpoint", error=EngineError("no"))
    world.engine.script("set_restart_policy", nth=2, error=EngineError("no"))
    world.drain()
    assert world.now("web").restart_policy.name == "no"
    world.engine.script("set_restart_policy", error=EngineError("no"))
    world.drain()
    world.reboot()
    world.resume()
    world.check_promise()


def test_a_skipped_user_is_not_forgotten_by_a_second_drain(world: World) -> None:
    net = world.add("net", "always")
    world.add("app", "always", tty=True, network_mode=f"container:{net.id}")
    world.drain()
    world.drain()
    world.reboot()
    assert not world.now("app").running
    world.resume()
    world.check_promise()


def test_volumes_are_flushed_too(world: World) -> None:
    mounts = (Mount("volume", "/var/lib/docker/volumes/v/_data", "/d"), Mount("tmpfs", "", "/t"))
    world.add("web", mounts=mounts)
    world.drain()
    assert "/var/lib/docker/volumes/v/_data" in world.host.flushed


def test_one_paused_by_its_owner_stays_paused_when_its_checkpoint_fails(world: World) -> None:
    world.add("web", "always", paused=True)
    world.engine.script("create_checkpoint", error=EngineError("it broke"))
    world.drain()
    assert world.now("web").paused
    assert world.now("web").restart_policy.name == "always"


def test_one_restarted_since_the_plan_is_left_alone(world: World) -> None:
    world.add("web", "always")

    def restart() -> None:
        world.engine.exit("web")

    world.engine.script("inspect", "web", run=restart)
    manifest = world.drain()
    assert state_of(manifest, "web") is State.LEFT
    assert world.now("web").running
    assert world.now("web").restart_policy.name == "always"


@pytest.mark.parametrize("chosen", ["no", "unless-stopped"])
def test_a_policy_that_was_changed_since_the_plan_is_the_one_to_be_put_back(
    world: World, chosen: str
) -> None:
    world.add("web", "always")
    policy = RestartPolicy(chosen)

    def choose() -> None:
        world.engine.change("web", restart_policy=policy)

    world.engine.script("inspect", "web", run=choose)
    (entry,) = world.drain().entries
    assert entry.restart_policy == policy
    world.reboot()
    world.resume()
    assert world.now("web").restart_policy == policy


def test_one_that_somebody_thawed_is_not_killed(world: World) -> None:
    world.add("web", "always")
    world.engine.script("inspect", "web", nth=2, run=lambda: world.engine.unpause("web"))
    manifest = world.drain()
    assert state_of(manifest, "web") is State.LEFT
    assert world.now("web").running
    assert world.engine.memory("web") == 100


def test_what_the_budget_does_not_reach_is_left_untouched(world: World) -> None:
    world.add("web", "always")
    world.budget = 0.0
    manifest = world.drain()
    assert state_of(manifest, "web") is State.LEFT
    assert "pause" not in [c.method for c in world.engine.calls]


def test_a_second_drain_keeps_what_is_down_and_takes_what_runs(world: World) -> None:
    world.add("first", "always")
    before = world.drain()
    world.add("second", "unless-stopped")
    after = world.drain()
    assert {e.name: e.state for e in after.entries} == {
        "first": State.STOPPED,
        "second": State.STOPPED,
    }
    kept = next(e for e in after.entries if e.name == "first")
    assert kept == before.entries[0]
    world.reboot()
    world.resume()
    world.check_promise()
    assert world.engine.memory("first") == 100


def test_a_second_drain_gives_what_runs_again_its_policy_back_first(world: World) -> None:
    world.add("web", "always")
    world.drain()
    world.engine.start("web", 1)
    manifest = world.drain()
    assert manifest.entries[0].restart_policy.name == "always"
    world.reboot()
    world.resume()
    world.check_promise()


@pytest.mark.parametrize("route", ROUTES)
def test_a_second_drain_deletes_the_used_checkpoint_that_a_killed_resume_has_left(
    tmp_path: Path, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drainer.drain.datetime", Clock)
    world = World(tmp_path / "state", routes=(route,))
    world.add("web")
    world.add("db")
    (used,) = {e.checkpoint for e in world.drain().entries}
    world.reboot()

    def die_once_restored(_what: str) -> None:
        world.dead = any(e.state is State.RESTORED for e in world.file.read().entries)

    world.at_instant = die_once_restored
    with pytest.raises(Killed):
        world.resume()
    world.live_again()
    (restored,) = (e.id for e in world.file.read().entries if e.state is State.RESTORED)
    assert world.engine.checkpoint_size(restored, used)
    world.drain()
    assert (restored, used) not in world.engine.debris()


def test_one_that_waits_is_resumed_after_what_it_uses_is_drained_again(world: World) -> None:
    net = world.add("net", "always")
    app = world.add("app", network_mode=f"container:{net.id}")
    world.drain()
    world.engine.start(net.id, 1)
    manifest = world.drain()
    assert {e.name: e.state for e in manifest.entries} == {
        "app": State.STOPPED,
        "net": State.STOPPED,
    }
    world.reboot()
    world.resume()
    assert world.engine.is_restored(app.id)
    assert world.engine.is_restored(net.id)


def test_an_opted_out_one_is_skipped_with_its_reason(world: World) -> None:
    world.add("cache", labels={LABEL_ENABLE: "false"})
    assert world.drain().entries[0].skip_reason == "opted_out"


def test_twenty_side_by_side(world: World) -> None:
    world.parallel = 8
    for number in range(20):
        world.add(f"c{number}", POLICIES[number % 4])
    manifest = world.drain()
    assert outcome_counts(manifest) == (20, 20)
    assert world.file.read() == manifest


def test_a_new_drain_deletes_what_former_ones_left_but_not_what_waits(tmp_path: Path) -> None:
    world = World(tmp_path, routes=(Route.RUNTIME,))
    web, db = world.add("web"), world.add("db")
    for name in ("drainer-failed", "drainer-waits"):
        world.runtime.checkpoint(web.id, "", Place(tmp_path / name / web.id), (), 1)
    waits = Entry(
        web.id, "web", "", State.STOPPED, RestartPolicy(), route=Route.RUNTIME,
        started_at=web.started_at, checkpoint="drainer-waits",
    )  # fmt: skip
    world.engine.pause(web.id)
    world.engine.kill(web.id)
    world.file.write(new_manifest(world.plan(), (waits,), DrainOptions(), datetime.now(UTC)))
    manifest = world.drain()
    (new,) = {e.checkpoint for e in manifest.entries if e.id == db.id}
    assert world.engine.checkpoint_size(web.id, "drainer-waits")
    assert world.engine.checkpoint_size(db.id, new)
    with pytest.raises(KeyError):
        world.engine.checkpoint_size(web.id, "drainer-failed")


@pytest.mark.parametrize("route", ROUTES)
def test_what_was_killed_is_never_given_back_because_a_write_failed(
    tmp_path: Path, route: Route
) -> None:
    world = World(tmp_path / "state", routes=(route,))
    world.add("web", "no")
    world.engine.deaf = True
    write = world.file.directory.write

    def full(name: str, data: bytes, *, reserve: bool = False) -> None:
        if b"state: stopped" in data:
            raise StorageError("no space")
        write(name, data, reserve=reserve)

    world.file.directory.write = full  # type: ignore[method-assign]
    world.drain()
    world.file.directory.write = write  # type: ignore[method-assign]
    world.engine.deaf = False
    (entry,) = world.file.read().entries
    assert (entry.state, entry.checkpoint_state) == (State.DUMPED, CheckpointState.COMPLETE)
    assert (entry.id, entry.checkpoint) in world.engine.debris()
    assert not world.now("web").running
    world.reboot()
    (entry,) = world.resume().entries
    assert entry.state is State.STARTED_COLD
