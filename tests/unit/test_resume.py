from pathlib import Path

import pytest

from drainer.errors import (
    EngineError,
    EngineTimeoutError,
    EngineUnavailableError,
)
from drainer.manifest import CheckpointState, State
from drainer.model import ROUTES, Route
from drainer.networks import Address
from tests.unit.world import Killed, World, container_id, entry_of

POLICIES = ["no", "always", "unless-stopped", "on-failure"]


@pytest.mark.parametrize("policy", POLICIES)
def test_it_comes_back_with_its_memory_and_its_policy(world: World, policy: str) -> None:
    world.add("web", policy)
    world.drain()
    world.reboot()
    assert not world.now("web").running
    manifest = world.resume()
    entry = entry_of(manifest, "web")
    assert entry.state is State.RESTORED
    assert entry.checkpoint_state is CheckpointState.USED
    assert manifest.finished
    assert world.engine.memory("web") == 100
    assert world.engine.checkpoints("web") == ()
    assert len(world.host.removed) == 1
    world.check_promise()


def test_a_manual_drain_is_undone_on_the_same_boot(world: World) -> None:
    world.add("web", "always")
    world.drain()
    world.resume()
    assert world.engine.memory("web") == 100
    world.check_promise()


def test_one_paused_by_its_owner_comes_back_paused(world: World) -> None:
    world.add("web", paused=True)
    world.drain()
    world.reboot()
    assert entry_of(world.resume(), "web").state is State.RESTORED
    assert world.now("web").paused


def test_providers_come_before_their_users(world: World) -> None:
    net = world.add("net", "always")
    world.add("app", "always", network_mode=f"container:{net.id}")
    world.drain()
    world.reboot()
    manifest = world.resume()
    assert {e.state for e in manifest.entries} == {State.RESTORED}
    started = [c.container for c in world.engine.calls if c.method == "start"]
    assert started == [net.id, container_id("app")]


def test_a_skipped_user_is_started_after_its_carried_provider(world: World) -> None:
    net = world.add("net", "always")
    world.add("app", "always", tty=True, network_mode=f"container:{net.id}")
    world.drain()
    world.reboot()
    assert not world.now("app").running
    world.resume()
    world.check_promise()


def test_a_skipped_one_without_a_policy_stays_down_as_docker_would_leave_it(world: World) -> None:
    world.add("shell", tty=True)
    world.drain()
    world.reboot()
    world.resume()
    assert not world.now("shell").running


def test_a_damaged_checkpoint_leads_to_a_cold_start_and_is_kept(world: World) -> None:
    world.add("web", "always")
    drained = world.drain()
    world.engine.damage_checkpoint("web", drained.entries[0].checkpoint)
    world.reboot()
    manifest = world.resume()
    entry = entry_of(manifest, "web")
    assert entry.state is State.STARTED_COLD
    assert entry.checkpoint_state is CheckpointState.UNUSABLE
    assert "pages-1.img" in entry.detail
    assert world.engine.checkpoints("web") == (drained.entries[0].checkpoint,)
    assert manifest.finished
    world.check_promise()


def test_a_failed_restore_leads_to_a_cold_start(world: World) -> None:
    world.add("web", "no")
    world.drain()
    world.reboot()
    world.engine.script("start", error=EngineError("criu failed: RESTORE\nlog file: x"))
    entry = entry_of(world.resume(), "web")
    assert entry.state is State.STARTED_COLD
    assert entry.detail == "it could not be restored: criu failed: RESTORE"
    assert world.now("web").running
    assert world.engine.memory("web") == 0


def test_a_restore_that_docker_reports_but_did_not_do_is_not_believed(world: World) -> None:
    world.add("web", "always")
    world.drain()
    world.reboot()
    world.engine.script("start", run=lambda: world.engine.start("web", 1))
    entry = entry_of(world.resume(), "web")
    assert entry.state is State.STARTED_COLD
    world.check_promise()


def test_the_content_clash_is_tried_again(world: World) -> None:
    world.add("web")
    world.drain()
    for nth in (1, 2):
        world.engine.script(
            "start", nth=nth, error=EngineError("content sha256:ab: already exists")
        )
    assert entry_of(world.resume(), "web").state is State.RESTORED
    assert world.engine.memory("web") == 100


def test_another_refusal_is_not_tried_again(world: World) -> None:
    world.add("web")
    world.drain()
    world.engine.script("start", error=EngineError("no"))
    world.resume()
    restores = [c for c in world.engine.calls if c.method == "start" and c.argument]
    assert len(restores) == 1


def test_a_removed_and_a_recreated_one_are_reported(world: World) -> None:
    world.add("web", "always")
    world.drain()
    world.engine.remove("web")
    del world.originals["web"]
    other = world.engine.add(world.add("other"))
    world.engine.change(other.id, name="web")
    del world.originals["other"]
    entry = entry_of(world.resume(), "web")
    assert entry.state is State.GONE
    assert other.id[:12] in entry.detail


def test_a_renamed_one_is_restored_and_the_name_told(world: World) -> None:
    web = world.add("web")
    world.drain()
    world.engine.change(web.id, name="www")
    entry = world.resume().entries[0]
    assert entry.state is State.RESTORED
    assert entry.notes == ("it is called www now",)


def test_one_that_somebody_started_is_left_running_with_its_policy(world: World) -> None:
    world.add("web", "always")
    world.drain()
    world.reboot()
    world.engine.start("web", 1)
    entry = entry_of(world.resume(), "web")
    assert entry.state is State.LEFT
    assert world.now("web").running
    world.check_promise()


def test_a_policy_that_somebody_chose_meanwhile_is_kept(world: World) -> None:
    web = world.add("web", "always")
    world.drain()
    chosen = web.restart_policy.__class__("unless-stopped")
    world.engine.set_restart_policy(web.id, chosen)
    world.resume()
    assert world.now("web").restart_policy == chosen


def test_a_host_that_cannot_restore_any_more_starts_everything_cold(world: World) -> None:
    world.add("web", "always")
    world.drain()
    world.reboot()
    world.host.host_facts = world.host.host_facts.__class__("b", "6.12", "x86_64", criu="")
    entry = entry_of(world.resume(), "web")
    assert entry.state is State.STARTED_COLD
    assert "CRIU" in entry.detail
    world.check_promise()


def test_when_the_budget_is_over_the_rest_is_started_cold(world: World) -> None:
    world.add("web", "always")
    world.drain()
    world.reboot()
    world.budget = 0.0
    entry = entry_of(world.resume(), "web")
    assert entry.state is State.STARTED_COLD
    assert "budget" in entry.detail


def test_docker_gone_away_in_between_leaves_it_to_the_next_resume(world: World) -> None:
    world.add("web", "always")
    world.drain()
    world.reboot()
    gone = EngineUnavailableError("gone")
    world.engine.script("start", run=lambda: setattr(world.engine, "down", True), error=gone)
    manifest = world.resume()
    assert manifest.pending
    world.engine.down = False
    assert world.resume().finished
    world.check_promise()


def test_a_resume_waits_for_a_docker_that_is_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("web", "db"):
        world.add(name, "always")
    world.drain()
    world.reboot()
    gone = EngineUnavailableError("gone")
    world.engine.script("inspect", run=lambda: setattr(world.engine, "down", True), error=gone)

    def until_it_is_back(*_: object) -> None:
        world.engine.down = False

    monkeypatch.setattr("drainer.resume.wait_for_engine", until_it_is_back)
    manifest = world.resume()
    assert manifest.finished
    assert {e.state for e in manifest.entries} == {State.RESTORED}
    world.check_promise()


def test_a_hiccup_of_docker_s_is_got_over_in_the_same_resume(world: World) -> None:
    world.add("web", "always")
    world.drain()
    world.reboot()
    world.engine.script("inspect", "web", error=EngineTimeoutError("no answer"))
    assert world.resume().finished
    assert world.engine.memory("web") == 100
    world.check_promise()


def test_a_user_waits_for_a_provider_that_is_late(world: World) -> None:
    net = world.add("net")
    world.add("app", network_mode=f"container:{net.id}")
    world.drain()
    world.reboot()
    world.engine.script("inspect", "net", error=EngineTimeoutError("no answer"))
    manifest = world.resume()
    assert {e.state for e in manifest.entries} == {State.RESTORED}


def test_a_restore_that_outlasts_its_limit_is_waited_for(world: World) -> None:
    world.add("web", "always")
    world.drain()
    error = EngineTimeoutError("no answer")
    world.engine.script("start", error=error, takes_effect=True)
    assert entry_of(world.resume(), "web").state is State.RESTORED


def test_one_that_ends_right_after_its_restore_is_started_again(world: World) -> None:
    web = world.add("web", "always")
    world.drain()
    # After the restore, when its policy is put back.
    world.engine.script("set_restart_policy", run=lambda: world.engine.exit(web.id))
    assert entry_of(world.resume(), "web").state is State.STARTED_COLD
    world.check_promise()


def test_a_cold_start_that_docker_refuses_puts_the_policy_back(world: World) -> None:
    world.add("web", "always")
    world.drain()
    for nth in (1, 2, 3):
        world.engine.script("start", nth=nth, error=EngineError("port is already allocated"))
    entry = entry_of(world.resume(), "web")
    assert entry.state is State.LEFT
    assert "port is already allocated" in entry.detail
    assert world.now("web").restart_policy.name == "always"


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("at", range(1, 25))
@pytest.mark.parametrize("policy", ["no", "always"])
def test_what_its_owner_tries_out_in_mid_resume_is_not_restored_afterwards(
    tmp_path: Path, route: Route, policy: str, at: int
) -> None:
    world = World(tmp_path / "state", routes=(route,))
    world.add("web", policy)
    world.drain()
    world.reboot()
    identity, left = container_id("web"), at

    def try_out(what: str) -> None:
        nonlocal left
        left -= 1
        # Between the last look and the start on the engine route nobody can notice anything.
        if left == 0 and not (what == "start" and route is Route.ENGINE):
            world.at_instant = lambda _what: None
            world.engine.start(identity, 1)
            world.engine.stop(identity)

    world.at_instant = try_out
    entry = entry_of(world.resume(), "web")
    assert world.engine.violations == ()
    if entry.state is State.LEFT:
        assert entry.detail == "it ran again before the resume"
        assert world.now("web").running == (policy == "always")
    else:
        assert entry.state in {State.RESTORED, State.STARTED_COLD}


def test_a_resume_after_the_last_one_does_nothing(world: World) -> None:
    world.add("web", "always")
    world.drain()
    first = world.resume()
    calls = len(world.engine.calls)
    assert world.resume() == first
    assert {c.method for c in world.engine.calls[calls:]} <= {"sweep", "placeholders"}


def test_a_new_address_is_told(world: World) -> None:
    web = world.add("web", addresses=(Address("bridge", "172.17.0.2"),))
    world.drain()
    world.engine.change(web.id, addresses=(Address("bridge", "172.17.0.9"),))
    notes = world.resume().entries[0].notes
    assert notes == ("its address on bridge was 172.17.0.2 and is 172.17.0.9",)


def test_a_cold_start_that_is_refused_once_is_tried_again(world: World) -> None:
    world.add("web", "always")
    world.drain()
    for nth in (1, 2):
        world.engine.script("start", nth=nth, error=EngineError("a remnant is in the way"))
    assert entry_of(world.resume(), "web").state is State.STARTED_COLD
    world.check_promise()


@pytest.mark.parametrize("tty", [True, False])
def test_one_that_docker_never_starts_again_keeps_no_resume_waiting(
    world: World, *, tty: bool
) -> None:
    net = world.add("net", "always")
    world.add("app", "always", tty=tty, network_mode=f"container:{net.id}")
    if not tty:
        # A drain that is killed as soon as it holds the policy.
        world.engine.script("pause", error=EngineError("no"))
        world.engine.script("set_restart_policy", nth=2, error=EngineError("no"))
    world.drain()
    world.power_cut()
    world.engine.remove(net.id)
    manifest = world.resume()
    assert manifest.finished
    (app,) = (e for e in manifest.entries if e.name == "app")
    assert app.state is State.LEFT
    assert "Docker could not start it" in app.detail
    assert world.now("app").restart_policy.name == "always"


def test_one_that_docker_started_after_all_is_not_paused_as_it_was_at_the_drain(
    world: World,
) -> None:
    world.add("web", "always", paused=True)
    world.drain()
    world.reboot()

    def die_with_its_policy_back(_what: str) -> None:
        world.dead = not world.now("web").restart_policy.held

    world.at_instant = die_with_its_policy_back
    with pytest.raises(Killed):
        world.resume()
    world.live_again()
    assert world.now("web").paused
    world.reboot()
    assert entry_of(world.resume(), "web").state is State.STARTED_COLD
    assert not world.now("web").paused


def test_what_is_worth_most_is_back_first(world: World) -> None:
    provider = world.add("provider")
    world.add("a")
    world.add("b", labels={"drainer.priority": "-1"})
    # Its worth is its provider's, too.
    world.add("user", network_mode=f"container:{provider.id}", labels={"drainer.priority": "5"})
    world.add("c", labels={"drainer.priority": "7"})
    world.drain()
    world.reboot()
    before = len(world.engine.calls)
    world.resume()
    names = {container_id(n): n for n in world.originals}
    started = [names[c.container] for c in world.engine.calls[before:] if c.method == "start"]
    assert started == ["c", "provider", "user", "a", "b"]
