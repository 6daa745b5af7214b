"""A reboot as a verb: the plan, the question, the drain, the reboot; and thinking better of it."""

import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from drainer.cli.wiring import Settings
from drainer.doctor.facts import Space, Surroundings
from drainer.errors import EngineError, ExitCode, UsageError
from drainer.host import power
from drainer.host.run import Result
from drainer.install import UnitState
from drainer.store import request_file
from drainer.store.request_file import Request
from drainer.units import AHEAD_UNIT, UNITS
from tests.unit.command import Drainer


class Power(NamedTuple):
    """What systemd was asked, and how it answers."""

    asked: list[list[str]]
    answer: list[Result]


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch, drainer: Drainer) -> Power:
    """Stand for a systemd with drainer's units enabled."""
    monkeypatch.setattr("drainer.cli.options.STATE_DIR", drainer.world.state)
    found = Power([], [Result(0)])

    def run(command: list[str], _seconds: float) -> Result:
        found.asked.append(command)
        return found.answer[0]

    monkeypatch.setattr("drainer.cli.rebooting.run_program", run)
    monkeypatch.setattr(power, "who", lambda: "ada")
    enable(monkeypatch, enabled=True)
    return found


def enable(monkeypatch: pytest.MonkeyPatch, *, enabled: bool) -> None:
    units = tuple(UnitState(unit, True, enabled, True, False) for unit in UNITS)
    units += (UnitState(AHEAD_UNIT, False, False, False, False),)
    space = Space("/")
    around = Surroundings(True, space, space, units=units)
    monkeypatch.setattr(Settings, "surroundings", lambda _self: around)


def test_everything_is_drained_before_the_reboot(drainer: Drainer, systemd: Power) -> None:
    drainer.world.add("web", "always")
    assert drainer("reboot", "--yes", "--reason", "kernel\x1b[2J 6.12") == ExitCode.OK
    assert systemd.asked == [["systemctl", "reboot"]]
    assert not drainer.world.now("web").running
    assert "1 of 1 running containers would be carried" in drainer.out
    drainer.world.reboot()
    assert drainer("resume") == ExitCode.OK
    assert drainer("report") == ExitCode.OK
    assert r"Asked for: by ada: kernel\x1b[2J 6.12" in drainer.out
    assert drainer("report", "--json") == ExitCode.OK
    assert (drainer.json["report"]["by"], drainer.json["report"]["reason"][:6]) == ("ada", "kernel")


@pytest.mark.usefixtures("systemd")
def test_the_drain_of_the_shutdown_takes_the_reason_over(drainer: Drainer) -> None:
    drainer.world.add("web", "always")
    assert drainer("reboot", "--yes", "--reason", "kernel") == ExitCode.OK
    drainer.world.host.shutdown = "reboot"
    before = drainer.world.file.read()
    assert drainer("drain", "--at-shutdown") == ExitCode.OK
    assert "nothing more is to be drained" in drainer.err
    assert drainer.world.file.read() == before
    drainer.world.add("late")
    assert drainer("drain", "--at-shutdown") == ExitCode.OK
    manifest = drainer.world.file.read()
    assert (manifest.trigger, manifest.by, manifest.reason) == ("shutdown", "ada", "kernel")


def test_a_reboot_may_wait(drainer: Drainer, systemd: Power) -> None:
    drainer.world.add("web", "always")
    assert drainer("reboot", "--yes", "--at", "23:30", "--reason", "kernel") == ExitCode.OK
    assert systemd.asked == [["shutdown", "--reboot", "23:30", "drainer: kernel"]]
    assert drainer.world.now("web").running
    half_past = power.moment("23:30", time.time())
    assert request_file.read(half_past) == Request("kernel", "ada", half_past)
    assert drainer("abort") == ExitCode.OK
    assert systemd.asked[1:] == [["shutdown", "-c"]]
    assert not request_file.exists()


@pytest.mark.parametrize("when", ["tomorrow", "24:00", "+", "now; reboot", "٣:00", "-r"])
def test_a_time_is_a_time(drainer: Drainer, systemd: Power, when: str) -> None:
    assert drainer("reboot", "--yes", f"--at={when}") == ExitCode.USAGE
    assert systemd.asked == []


def test_nobody_is_asked_where_nobody_is(drainer: Drainer, systemd: Power) -> None:
    drainer.world.add("web", "always")
    assert drainer("reboot") == ExitCode.USAGE
    assert "--yes" in drainer.err
    assert drainer.world.now("web").running
    assert systemd.asked == []


@pytest.mark.parametrize(("answer", "asked"), [("n\n", 0), ("y\n", 1)])
def test_a_person_is_asked(
    drainer: Drainer,
    systemd: Power,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    asked: int,
) -> None:
    drainer.world.add("web", "always")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda _question: answer == "y\n")
    assert drainer("reboot") == ExitCode.OK
    assert len(systemd.asked) == asked
    assert drainer.world.now("web").running == (not asked)


def test_what_was_not_carried_keeps_the_host_up(drainer: Drainer, systemd: Power) -> None:
    drainer.world.add("web", "always")
    drainer.world.add("db", "always")
    drainer.world.engine.script("create_checkpoint", error=EngineError("no"))
    assert drainer("reboot", "--yes") == ExitCode.PARTIAL
    assert systemd.asked == []
    assert "not rebooting" in drainer.err
    assert not request_file.exists()
    assert drainer("abort") == ExitCode.OK
    drainer.world.check_promise()


def test_unless_that_was_asked_for(drainer: Drainer, systemd: Power) -> None:
    drainer.world.add("web", "always")
    drainer.world.engine.script("create_checkpoint", error=EngineError("no"))
    assert drainer("reboot", "--yes", "--force") == ExitCode.OK
    assert systemd.asked == [["systemctl", "reboot"]]


def test_a_drained_host_that_does_not_reboot_says_how_to_go_back(
    drainer: Drainer, systemd: Power
) -> None:
    drainer.world.add("web", "always")
    systemd.answer[0] = Result(1, "", "Operation inhibited\n")
    assert drainer("reboot", "--yes") == ExitCode.HOST_INCAPABLE
    assert "`drainer abort` brings them back" in drainer.err
    assert drainer("abort") == ExitCode.OK
    drainer.world.check_promise()


def test_an_interrupted_drain_is_never_followed_by_a_reboot(
    drainer: Drainer, systemd: Power
) -> None:
    drainer.world.add("web", "always")
    drainer.world.add("db", "always")
    interrupt = partial(os.kill, os.getpid(), signal.SIGINT)
    drainer.world.engine.script("create_checkpoint", run=interrupt)
    assert drainer("reboot", "--yes", "--force") == ExitCode.INTERRUPTED
    assert systemd.asked == []


def test_a_systemd_that_refuses_is_told(drainer: Drainer, systemd: Power) -> None:
    systemd.answer[0] = Result(1, "", "Operation inhibited\n")
    assert drainer("reboot", "--yes", "--at", "+5") == ExitCode.HOST_INCAPABLE
    assert "`shutdown` has refused: Operation inhibited" in drainer.err
    assert not request_file.exists()


def test_without_units_nothing_would_come_back(
    drainer: Drainer, systemd: Power, monkeypatch: pytest.MonkeyPatch
) -> None:
    enable(monkeypatch, enabled=False)
    assert drainer("reboot", "--yes") == ExitCode.CONFIG_INVALID
    assert "install --enable" in drainer.err
    assert systemd.asked == []


def test_what_the_units_would_not_find_is_not_drained_for_a_reboot(
    drainer: Drainer, systemd: Power, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drainer.cli.options.STATE_DIR", Path("/var/lib/drainer"))
    drainer.world.add("web", "always")
    assert drainer("reboot", "--yes") == ExitCode.CONFIG_INVALID
    assert "without --state-dir" in drainer.err
    assert drainer.world.now("web").running
    assert systemd.asked == []


def test_another_kernel_must_be_loaded(
    drainer: Drainer, systemd: Power, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loaded = tmp_path / "kexec_loaded"
    monkeypatch.setattr(power.check_kexec, "__defaults__", (loaded,))
    assert drainer("reboot", "--yes", "--kexec") == ExitCode.USAGE
    loaded.write_text("1\n")
    assert drainer("reboot", "--yes", "--kexec") == ExitCode.OK
    assert systemd.asked == [["systemctl", "kexec"]]
    assert drainer("reboot", "--yes", "--kexec", "--at", "+1") == ExitCode.USAGE


def test_aborting_nothing_is_no_error(drainer: Drainer, systemd: Power) -> None:
    assert drainer("abort") == ExitCode.OK
    assert systemd.asked == []


def test_whose_login_it_is(tmp_path: Path) -> None:
    (tmp_path / "loginuid").write_text("0")
    assert power.who({"SUDO_USER": "eve"}, tmp_path) == "root"
    (tmp_path / "loginuid").write_text("4294967295")
    assert power.who({"SUDO_USER": "eve"}, tmp_path) == "eve"
    assert power.who({}, tmp_path / "none") == ""
    (tmp_path / "loginuid").write_text("4294967000")
    assert power.who({}, tmp_path) == "4294967000"


def test_a_damaged_request_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "below" / "request.json"
    assert request_file.read(0.0, path) == Request()
    request_file.write(Request("why", "who"), path)
    assert request_file.read(0.0, path) == Request("why", "who")
    for text in ("", "[]", '{"reason": 1}', '{"reason": "", "by": "", "at": []}', "\x00"):
        path.write_text(text)
        assert request_file.read(0.0, path) == Request()
    with pytest.raises(UsageError):
        power.check_time("")


@pytest.mark.parametrize(
    ("now", "counts"), [(880, True), (1000, True), (1600, True), (879, False), (1601, False)]
)
def test_a_request_is_for_its_time_alone(tmp_path: Path, now: float, *, counts: bool) -> None:
    # Who cancels that reboot by `shutdown -c` does not tell drainer.
    path = tmp_path / "request.json"
    request_file.write(Request("why", "who", 1000.0), path)
    assert bool(request_file.read(now, path).reason) == counts


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("now", "when", "told"),
    [
        ("2026-03-01T12:30:40+01:00", "+0", "2026-03-01T12:30:40+01:00"),
        ("2026-03-01T12:30:40+01:00", "+90", "2026-03-01T14:00:40+01:00"),
        ("2026-03-01T12:30:40+01:00", "12:31", "2026-03-01T12:31:00+01:00"),
        ("2026-03-01T12:30:40+01:00", "12:30", "2026-03-02T12:30:00+01:00"),
        ("2026-12-31T12:30:40+01:00", "0:05", "2027-01-01T00:05:00+01:00"),
        # The nights in which the clocks change.
        ("2026-10-25T00:00:00+02:00", "04:00", "2026-10-25T04:00:00+01:00"),
        ("2026-03-28T23:00:00+01:00", "04:00", "2026-03-29T04:00:00+02:00"),
    ],
)
def test_when_a_shutdown_would_be(now: str, when: str, told: str) -> None:
    moment = power.moment(when, datetime.fromisoformat(now).timestamp())
    assert moment == datetime.fromisoformat(told).timestamp()


def test_a_cancel_that_is_refused_keeps_nothing_down(
    drainer: Drainer, systemd: Power, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(power.scheduled, "__defaults__", (tmp_path / "none",))
    drainer.world.add("web", "always")
    assert drainer("drain") == ExitCode.OK
    request_file.write(Request("why", "who", time.time() + 600))
    systemd.answer[0] = Result(1, "", "no")
    assert drainer("abort") == ExitCode.OK
    assert "was not cancelled" in drainer.err
    assert drainer.world.now("web").running
    request_file.write(Request("now"))
    systemd.asked.clear()
    assert drainer("abort") == ExitCode.OK
    assert systemd.asked == []


def test_only_a_reboot_of_drainer_s_is_cancelled(
    drainer: Drainer, systemd: Power, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scheduled = tmp_path / "scheduled"
    monkeypatch.setattr(power.scheduled, "__defaults__", (scheduled,))
    drainer.world.add("web", "always")
    # Somebody has cancelled that one by `shutdown -c`, and scheduled another one.
    assert drainer("reboot", "--yes", "--at", "+10") == ExitCode.OK
    scheduled.write_text(f"USEC={int(time.time() + 7200)}000000\nMODE=reboot\n")
    systemd.asked.clear()
    assert drainer("abort") == ExitCode.OK
    assert "another shutdown is scheduled" in drainer.err
    assert systemd.asked == []
    assert drainer("reboot", "--yes", "--at", "+10") == ExitCode.OK
    scheduled.write_text(f"USEC={int(time.time() + 600)}000000\nMODE=reboot\n")
    systemd.asked.clear()
    assert drainer("abort") == ExitCode.OK
    assert systemd.asked == [["shutdown", "-c"]]
