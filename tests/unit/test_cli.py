"""The command line on a host in memory: exit codes, JSON, errors, what is said to whom."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from drainer.cli.wiring import GRACE, Settings, extension
from drainer.deadline import Deadline
from drainer.engine.fake import FakeEngine
from drainer.errors import EngineError, EngineUnavailableError, ExitCode, StorageError
from drainer.networks import Address, Port
from drainer.room import BYTES_KEPT, checkpoint_bytes
from drainer.storage import FileSystem
from drainer.store.lock import lock
from tests.unit.command import Drainer
from tests.unit.world import Clock, World, container_id


def test_plan_touches_nothing_and_tells_what_to_do(drainer: Drainer) -> None:
    drainer.world.add("web")
    drainer.world.add("shell", tty=True)
    assert drainer("plan") == ExitCode.OK
    assert "1 of 2 running containers would be carried" in drainer.out
    assert "tty: It has a terminal" in drainer.out
    assert "Create it again without `-t`" in drainer.out
    assert {c.method for c in drainer.world.engine.calls} == {"facts", "running"}
    assert not drainer.world.file.exists


def test_plan_as_json_is_what_a_drain_carries_out(drainer: Drainer) -> None:
    drainer.world.add("web", "always")
    assert drainer("plan", "--json") == ExitCode.OK
    (planned,) = drainer.json["entries"]
    assert drainer("drain", "--json") == ExitCode.OK
    (done,) = drainer.json["manifest"]["entries"]
    assert planned["id"] == done["id"]
    assert planned["restart_policy"] == done["restart_policy"]
    assert done["state"] == "stopped"


def test_plan_says_if_the_next_kernel_needs_another_criu(drainer: Drainer) -> None:
    drainer.world.add("web")
    assert drainer("plan") == ExitCode.OK
    assert "newest kernel" not in drainer.out
    facts = drainer.world.host.host_facts
    drainer.world.host.host_facts = replace(facts, next_kernel="7.2.12")
    assert drainer("plan") == ExitCode.OK
    said = " ".join(drainer.out.split())
    assert "kernel 7.2.12 needs CRIU 4.2.1, and this is 4.1.1" in said
    assert "all containers are started from the beginning" in said
    assert drainer("plan", "--json") == ExitCode.OK
    assert drainer.json["next_kernel"].startswith("kernel 7.2.12 needs")


def test_plan_without_containers(drainer: Drainer) -> None:
    assert drainer("plan") == ExitCode.OK
    assert drainer.out == "No container is running.\n"


@pytest.mark.parametrize("verb", ["plan", "drain"])
def test_a_host_that_cannot_is_refused_before_anything_is_touched(
    drainer: Drainer, verb: str
) -> None:
    drainer.world.add("web", "always")
    facts = drainer.world.engine.facts()
    drainer.world.engine.change_facts(replace(facts, experimental=False))
    assert drainer("--route", "engine", verb) == ExitCode.HOST_INCAPABLE
    assert "experimental" in drainer.err
    assert "hint: " in drainer.err
    assert drainer.world.now("web").running
    assert not drainer.world.file.exists


def test_a_docker_without_checkpoints_needs_no_setting(drainer: Drainer) -> None:
    drainer.world.add("web", "always")
    facts = drainer.world.engine.facts()
    drainer.world.engine.change_facts(replace(facts, experimental=False, version="28.5.2"))
    assert drainer("plan") == ExitCode.OK
    assert "runtime" in drainer.out
    assert "engine_not_experimental" in drainer.out
    assert drainer("drain") == ExitCode.OK
    drainer.world.reboot()
    assert drainer("resume", "--json") == ExitCode.OK
    (entry,) = drainer.json["manifest"]["entries"]
    assert (entry["route"], entry["state"]) == ("runtime", "restored")
    drainer.world.check_promise()


def test_a_stand_in_that_cannot_be_put_in_place_costs_a_restore_and_no_container(
    drainer: Drainer,
) -> None:
    drainer.world.add("web", "always")
    assert drainer("--route", "runtime", "drain") == ExitCode.OK
    drainer.world.reboot()
    drainer.world.engine.script("open_window", error=StorageError("no place for it"))
    assert drainer("resume", "--json") == ExitCode.NOTHING_CARRIED
    (entry,) = drainer.json["manifest"]["entries"]
    assert (entry["state"], entry["detail"]) == ("started-cold", "no place for it")
    drainer.world.check_promise()


def test_drain_and_resume(drainer: Drainer) -> None:
    drainer.world.add("web", "always")
    assert drainer("drain") == ExitCode.OK
    assert "drainer: web: dumping" in drainer.err
    assert "drained: 1 stopped" in drainer.err
    drainer.world.reboot()
    assert drainer("status") == ExitCode.OK
    assert "always (held)" in drainer.out
    assert "pending" in drainer.out
    assert drainer("resume") == ExitCode.OK
    assert "resumed: 1 restored" in drainer.err
    drainer.world.check_promise()
    assert drainer("resume") == ExitCode.OK
    assert "nothing to do" in drainer.err


def test_what_waits_is_read_ahead_until_a_resume_begins(drainer: Drainer) -> None:
    assert drainer("read-ahead") == ExitCode.OK
    assert "nothing to read" in drainer.err
    drainer.world.add("web", "always")
    drainer("drain")
    drainer.world.reboot()
    assert drainer("read-ahead") == ExitCode.OK
    assert "checkpoints read ahead: 1" in drainer.err
    assert len(drainer.world.host.ahead) == 1
    assert not drainer.world.host.ahead_has_ended()
    assert drainer("resume") == ExitCode.OK
    assert drainer.world.host.ahead_has_ended()


def test_a_resume_that_docker_left_alone_is_to_be_run_again(
    drainer: Drainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drainer.cli.resuming.ENGINE_WAIT", 0.0)
    engine = drainer.world.engine
    drainer.world.add("web")
    drainer("drain")
    drainer.world.reboot()
    gone = EngineUnavailableError("gone")
    engine.script("inspect", run=lambda: setattr(engine, "down", True), error=gone)
    assert drainer("resume") == ExitCode.HOST_INCAPABLE
    assert "will see to what is left" in drainer.err
    engine.down = False
    assert drainer("resume") == ExitCode.OK


def test_resume_without_any_drain_has_nothing_to_do(drainer: Drainer) -> None:
    assert drainer("resume", "--json") == ExitCode.OK
    assert drainer.json["manifest"] is None


def test_status_without_a_manifest(drainer: Drainer) -> None:
    assert drainer("status") == ExitCode.NO_MANIFEST


def test_some_failed_is_partial_and_all_failed_is_told_apart(drainer: Drainer) -> None:
    drainer.world.add("web")
    drainer.world.engine.script("create_checkpoint", error=EngineError("no"))
    assert drainer("drain") == ExitCode.NOTHING_CARRIED
    drainer.world.add("db")
    drainer.world.engine.script("create_checkpoint", error=EngineError("no"))
    assert drainer("drain") == ExitCode.PARTIAL
    drainer.world.add("cache")
    drainer.world.engine.script("start", error=EngineError("no"))
    assert drainer("drain") == ExitCode.OK
    assert drainer("resume") == ExitCode.PARTIAL


def test_skipped_ones_alone_are_no_failure(drainer: Drainer) -> None:
    drainer.world.add("shell", tty=True)
    assert drainer("drain") == ExitCode.OK


def test_the_unit_drains_only_when_the_host_goes_down(drainer: Drainer) -> None:
    drainer.world.add("web")
    assert drainer("drain", "--at-shutdown") == ExitCode.OK
    assert "not going down" in drainer.err
    assert drainer.world.engine.calls == []
    drainer.world.host.shutdown = "reboot"
    assert drainer("drain", "--at-shutdown") == ExitCode.OK
    assert drainer.world.file.read().trigger == "shutdown"


def test_docker_down(drainer: Drainer) -> None:
    drainer.world.engine.down = True
    assert drainer("plan", "--json") == ExitCode.HOST_INCAPABLE
    assert drainer.json["error"]["code"] == ExitCode.HOST_INCAPABLE


def test_another_drainer_at_work(drainer: Drainer) -> None:
    with lock(Settings(drainer.world.state, "").state(), "resume"):
        assert drainer("drain") == ExitCode.LOCKED
    assert f"pid {os.getpid()}" in drainer.err


def test_not_root(drainer: Drainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for verb in ("plan", "drain", "resume", "status", "doctor", "install", "uninstall"):
        assert drainer(verb) == ExitCode.NO_PERMISSION
        assert f"sudo drainer {verb}" in drainer.err


def test_wrong_usage(drainer: Drainer) -> None:
    assert drainer("drain", "--parallel", "many") == ExitCode.USAGE
    assert drainer("drian") == ExitCode.USAGE
    assert drainer.err.count("Did you mean") == 1


@pytest.mark.parametrize("seconds", ["nan", "inf", "0.5", "-1", "many"])
@pytest.mark.parametrize(
    "words",
    [
        ("drain", "--budget"),
        ("drain", "--container-timeout"),
        ("resume", "--budget"),
        ("resume", "--container-timeout"),
        ("doctor", "--budget"),
    ],
)
def test_what_is_no_number_of_seconds_is_refused(
    drainer: Drainer, words: tuple[str, str], seconds: str
) -> None:
    assert drainer(*words, seconds) == ExitCode.USAGE


def test_a_defect_is_one_line_and_never_a_traceback(drainer: Drainer) -> None:
    drainer.world.engine.script("facts", error=ValueError("boo"))
    assert drainer("plan") == ExitCode.UNEXPECTED
    assert "Traceback" not in drainer.err
    assert len(drainer.err.splitlines()) == 2


def test_what_containers_say_cannot_drive_the_terminal(drainer: Drainer) -> None:
    nasty = "a\x1b[31m[red]\nfake: restored\u202e"
    drainer.world.engine.add(
        replace(drainer.world.now(drainer.world.add("x").id[:0] or "x"), name=nasty)
    )
    drainer.world.engine.change(container_id("x"), image=nasty)
    for words in (("plan",), ("drain",), ("status",), ("resume",)):
        drainer(*words)
        for text in (drainer.out, drainer.err):
            assert "\x1b" not in text
            assert "\u202e" not in text
            assert "\nfake" not in text
        if words == ("plan",):
            assert "[red]" in drainer.out


def test_a_signal_lets_nothing_new_begin(drainer: Drainer) -> None:
    drainer.world.parallel = 1
    drainer.world.add("a")
    drainer.world.add("b")
    drainer.world.engine.script(
        "create_checkpoint", run=lambda: os.kill(os.getpid(), signal.SIGTERM)
    )
    assert drainer("drain", "--parallel", "1") == ExitCode.TERMINATED
    states = sorted(e.state for e in drainer.world.file.read().entries)
    assert states == ["left", "stopped"]


def test_the_version(drainer: Drainer, world: World) -> None:
    del world
    assert drainer("--version") == ExitCode.OK
    assert drainer.out.startswith("drainer ")


def test_the_state_directory_must_be_safe(drainer: Drainer, tmp_path: Path) -> None:
    drainer.world.state = tmp_path / "link"
    drainer.world.state.symlink_to(tmp_path)
    assert drainer("status") == ExitCode.NO_PERMISSION


def test_a_drain_says_how_far_it_is_and_puts_the_units_limit_off(drainer: Drainer) -> None:
    for name in ("a", "b"):
        drainer.world.add(name)
    assert drainer("drain", "--budget", "100", "--parallel", "1") == ExitCode.OK
    begin, first, *_, last = drainer.world.host.statuses
    assert begin == "beginning to drain"
    assert first.startswith("drain: 0 of 2 done, about ")
    assert last == "drain: 2 of 2 done; b: stopped"
    extensions = drainer.world.host.extensions
    assert len(extensions) == len(drainer.world.host.statuses)
    assert all(GRACE < e <= 100 + GRACE for e in extensions)
    assert sorted(extensions, reverse=True) == extensions


def test_at_a_shutdown_the_configured_budget_holds(drainer: Drainer, etc: Path) -> None:
    drainer.world.add("a")
    etc.mkdir()
    (etc / "config.yaml").write_text("drain:\n  budget: 1000\nresume:\n  budget: 2000\n")
    drainer.world.host.shutdown = "reboot"
    assert drainer("drain", "--at-shutdown") == ExitCode.OK
    # Before anything else: what comes next may take longer than the unit's own limit.
    assert drainer.world.host.extensions[0] == pytest.approx(1000 + GRACE, abs=5)
    drainer.world.host.extensions.clear()
    drainer.world.reboot()
    assert drainer("resume", "--at-boot") == ExitCode.OK
    assert drainer.world.host.extensions[0] == pytest.approx(2000 + GRACE, abs=5)


def test_a_unit_that_tries_again_brings_nothing_back_that_was_drained_by_hand_since(
    drainer: Drainer,
) -> None:
    drainer.world.add("a")
    drainer("drain")
    assert drainer("resume", "--at-boot") == ExitCode.OK
    assert not drainer.world.now("a").running
    assert "by hand" in drainer.err
    drainer.world.reboot()
    assert drainer("resume", "--at-boot") == ExitCode.OK
    assert drainer.world.now("a").running


def test_what_has_waited_since_the_boot_is_tried_nevertheless(
    drainer: Drainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drainer.drain.datetime", Clock)
    world = drainer.world
    port = Port(80, "tcp", "127.0.0.1")
    world.add("web", ports=(port,))
    world.host.shutdown = "reboot"
    assert drainer("drain", "--at-shutdown") == ExitCode.OK
    world.reboot()
    world.engine.gone.ports[port] = "nginx (pid 812)"
    assert drainer("resume", "--at-boot") == ExitCode.HOST_INCAPABLE
    world.add("other")
    assert drainer("drain") == ExitCode.OK
    world.engine.gone.ports.clear()
    assert drainer("resume", "--at-boot") == ExitCode.HOST_INCAPABLE
    assert world.now("web").running
    assert not world.now("other").running
    assert drainer("resume", "--at-boot") == ExitCode.OK
    assert drainer("resume") == ExitCode.OK
    assert world.now("other").running


def test_a_resume_puts_its_units_limit_off_too(drainer: Drainer) -> None:
    drainer.world.add("a")
    drainer("drain")
    drainer.world.reboot()
    assert drainer("resume", "--budget", "100") == ExitCode.OK
    assert drainer.world.host.extensions
    assert all(GRACE < e <= 100 + GRACE for e in drainer.world.host.extensions)


def test_without_a_budget_no_limit_is_put_off(drainer: Drainer) -> None:
    drainer.world.add("a")
    assert drainer("drain") == ExitCode.OK
    drainer.world.reboot()
    assert drainer("resume") == ExitCode.OK
    assert drainer.world.host.statuses
    assert drainer.world.host.extensions == []


def test_once_somebody_wants_an_end_no_limit_is_put_off() -> None:
    deadline = Deadline(100)
    assert extension(deadline) == pytest.approx(100 + GRACE, abs=1)
    deadline.interrupt()
    assert extension(deadline) is None
    assert extension(Deadline(0)) == GRACE


def test_a_plan_shows_room_turns_and_priorities(drainer: Drainer) -> None:
    world = drainer.world
    for name in ("a", "b"):
        world.add(name, labels={"drainer.priority": "7"} if name == "b" else {})
    one = checkpoint_bytes(1 << 20)
    world.engine.disk = 5 * one + BYTES_KEPT
    world.host.other_places["temporary"] = FileSystem(
        "0:30", "/\x1btmp", one + BYTES_KEPT, in_memory=True
    )
    world.host.memory = 1 << 30
    assert drainer("plan") == ExitCode.OK
    assert "PRIORITY" in drainer.out
    lines = [line for line in drainer.out.splitlines() if line.startswith("  ")]
    assert "  /: 10.0 MiB needed, 5.0 MiB more in passing, 89.1 MiB free" in lines
    assert "  /\\x1btmp: 5.0 MiB in passing, 69.0 MiB free (in memory)" in lines
    assert "  memory: 5.0 MiB in passing, 1.0 GiB free" in lines
    assert "  For more than 1 at once there is no room, so they take turns." in lines
    assert drainer("plan", "--json") == ExitCode.OK
    assert drainer.json["at_once"] == 1
    assert [use["path"] for use in drainer.json["room"]] == ["/", "/\x1btmp", "memory"]
    assert [e["priority"] for e in drainer.json["entries"]] == [0, 7]


def test_a_plan_without_priorities_and_with_unknown_disks_says_nothing_of_them(
    drainer: Drainer,
) -> None:
    drainer.world.add("a")
    assert drainer("plan") == ExitCode.OK
    assert "PRIORITY" not in drainer.out
    assert "Room" not in drainer.out


def test_what_becomes_of_failures_is_the_callers_choice(
    drainer: Drainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = drainer.world.add("web", "always")
    drainer.world.engine.script("create_checkpoint", error=EngineError("no"))
    monkeypatch.setenv("DRAINER_ON_DUMP_FAILURE", "stop")
    assert drainer("drain") == ExitCode.NOTHING_CARRIED
    assert not drainer.world.now("web").running
    assert drainer("resume") == ExitCode.OK
    assert drainer("drain", "--on-dump-failure", "leave") == ExitCode.OK
    name = drainer.world.file.read().entries[0].checkpoint
    drainer.world.engine.damage_checkpoint(web.id, name)
    assert drainer("resume", "--on-restore-failure", "leave") == ExitCode.NOTHING_CARRIED
    assert not drainer.world.now("web").running
    assert drainer("resume", "--on-restore-failure", "nonsense") == ExitCode.USAGE


def test_nothing_is_made_on_another_docker(drainer: Drainer) -> None:
    world = drainer.world
    world.add("web", "always", addresses=(Address("bridge", "172.17.0.2"),))
    assert drainer("--route", "runtime", "drain") == ExitCode.OK
    facts = replace(world.engine.facts(), daemon_id="another")
    world.engine = world.host.engine = world.runtime.engine = FakeEngine(facts)
    assert drainer("resume") == ExitCode.HOST_INCOMPATIBLE
    assert {call.method for call in world.engine.calls} <= {"sweep", "facts", "inspect"}
