"""A drain that fails as a whole at a shutdown: no manifest tells of it."""

from pathlib import Path

import pytest

from drainer import login_message
from drainer.errors import EngineUnavailableError, ExitCode
from drainer.store import failed_drain
from drainer.store.failed_drain import FailedDrain
from tests.unit.command import Drainer


@pytest.fixture
def once(drainer: Drainer) -> Drainer:
    """Drain a host and resume it in order, and let it go down again."""
    drainer.world.add("web", "always")
    assert drainer("drain") == ExitCode.OK
    assert drainer("resume") == ExitCode.OK
    drainer.world.host.shutdown = "reboot"
    return drainer


def mistake(etc: Path) -> Path:
    etc.mkdir(exist_ok=True)
    path = etc / "config.yaml"
    path.write_text("drain:\n  budgt: 5\n")
    return path


def test_it_is_told_after_the_boot_and_until_the_next_drain(once: Drainer, etc: Path) -> None:
    path = mistake(etc)
    assert once("drain", "--at-shutdown") == ExitCode.CONFIG_INVALID
    assert "the defaults are used" not in once.err
    path.unlink()
    once.world.reboot()
    assert once("resume", "--at-boot") == ExitCode.OK
    assert "the drain of the shutdown of 20" in once.err
    assert "budgt" in once.err
    line = "drainer: the drain of the shutdown of 20"
    assert login_message.PATH.read_text().startswith(line)
    for command in ("report", "status"):
        assert once(command) == ExitCode.OK
        note, rest, *_ = once.out.splitlines()
        assert note.startswith("Note: the drain of the shutdown of 20")
        assert "budgt" in note
        assert rest == "What follows is of an earlier drain."
        once(command, "--json")
        assert "budgt" in once.json["failed_drain"]["why"]
    once.world.host.shutdown = "reboot"
    assert once("drain", "--at-shutdown") == ExitCode.OK
    once.world.reboot()
    assert once("resume", "--at-boot") == ExitCode.OK
    assert "failed" not in once.err
    assert "carried over" in login_message.PATH.read_text()
    once("report", "--json")
    assert once.json["failed_drain"] is None


def test_what_waits_is_resumed_nevertheless(drainer: Drainer, etc: Path) -> None:
    drainer.world.add("web", "always")
    drainer("drain")
    mistake(etc)
    drainer.world.host.shutdown = "reboot"
    drainer("drain", "--at-shutdown")
    drainer.world.reboot()
    assert drainer("resume", "--at-boot") == ExitCode.OK
    assert drainer.world.now("web").running
    failed, brought_back = login_message.PATH.read_text().splitlines()
    assert "failed" in failed
    assert "1 restored" in brought_back


def test_without_a_docker_it_is_the_same(once: Drainer) -> None:
    once.world.engine.script("facts", error=EngineUnavailableError("Docker is away", "look"))
    assert once("drain", "--at-shutdown") == ExitCode.HOST_INCAPABLE
    once("report", "--format", "markdown")
    assert "Docker is away (look)" in once.out


def test_what_nobody_has_foreseen_is_told_too(once: Drainer) -> None:
    once.world.engine.script("facts", error=RuntimeError("oops"))
    assert once("drain", "--at-shutdown") == ExitCode.UNEXPECTED
    once("report")
    assert "unexpected: RuntimeError" in once.out


def test_what_a_manifest_tells_of_is_not_told_twice(drainer: Drainer) -> None:
    drainer.world.add("web", "always")
    drainer.world.host.shutdown = "reboot"
    drainer.world.engine.script("pause", error=RuntimeError("oops"))
    assert drainer("drain", "--at-shutdown") == ExitCode.UNEXPECTED
    assert failed_drain.read(drainer.world.file.directory) is None
    assert drainer("report") == ExitCode.OK
    assert "oops" in drainer.out


def test_a_unit_that_is_only_stopped_misses_nothing(once: Drainer, etc: Path) -> None:
    mistake(etc)
    once.world.host.shutdown = ""
    assert once("drain", "--at-shutdown") == ExitCode.CONFIG_INVALID
    assert not (once.world.state / failed_drain.NAME).exists()


def test_by_hand_whoever_drains_sees_it_at_once(once: Drainer, etc: Path) -> None:
    mistake(etc)
    assert once("drain") == ExitCode.CONFIG_INVALID
    assert not (once.world.state / failed_drain.NAME).exists()


def test_before_the_first_drain_a_report_still_tells_of_it(drainer: Drainer, etc: Path) -> None:
    mistake(etc)
    drainer.world.host.shutdown = "reboot"
    drainer("drain", "--at-shutdown")
    assert drainer("report") == ExitCode.NO_MANIFEST
    assert "budgt" in drainer.out
    assert "What follows" not in drainer.out


@pytest.mark.parametrize("content", ["", "[]", '{"at": 1}', "\0", "7"])
def test_what_cannot_be_read_is_not_told(drainer: Drainer, content: str) -> None:
    directory = drainer.world.file.directory
    failed_drain.write(directory, FailedDrain("2026-01-01T00:00:00+00:00", "why" * 1000))
    found = failed_drain.read(directory)
    assert found
    assert len(found.why) == failed_drain.LENGTH
    directory.write(failed_drain.NAME, content.encode())
    assert failed_drain.read(directory) is None
