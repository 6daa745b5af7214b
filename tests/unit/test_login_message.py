"""Who logs in after the reboot is told what became of the containers."""

from pathlib import Path

import pytest

from drainer import login_message
from drainer.errors import ExitCode
from drainer.networks import Port
from tests.unit.command import Drainer


def told() -> str:
    return login_message.PATH.read_text() if login_message.PATH.exists() else ""


def test_only_a_boot_leaves_a_message(drainer: Drainer) -> None:
    drainer.world.add("web", "always")
    assert drainer("drain") == drainer("resume") == ExitCode.OK
    assert told() == ""
    assert drainer("drain") == ExitCode.OK
    drainer.world.reboot()
    assert drainer("resume", "--at-boot") == ExitCode.OK
    assert told() == "drainer: carried over the last reboot: 1 restored. `drainer report`\n"
    assert login_message.PATH.stat().st_mode & 0o777 == 0o644


def test_a_later_resume_puts_it_right(drainer: Drainer) -> None:
    port = Port(80, "tcp", "127.0.0.1")
    drainer.world.add("web", "always", ports=(port,))
    assert drainer("drain") == ExitCode.OK
    drainer.world.engine.gone.ports[port] = "nginx (pid 812)"
    drainer.world.reboot()
    assert drainer("resume", "--at-boot") == ExitCode.HOST_INCAPABLE
    assert told() == (
        "drainer: containers still wait to be brought back (1 stopped): `drainer status`\n"
    )
    drainer.world.engine.gone.ports.clear()
    assert drainer("resume") == ExitCode.OK
    assert "1 restored" in told()


def test_without_a_place_nothing_is_told_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(login_message, "PATH", tmp_path / "no" / "where" / "drainer")
    login_message.show("drainer: ...")
    assert told() == ""


def test_it_is_withdrawn_once() -> None:
    login_message.PATH.parent.mkdir()
    login_message.PATH.write_text("drainer: ...\n")
    assert login_message.withdraw() == str(login_message.PATH)
    assert not login_message.exists()
    assert login_message.withdraw() == ""
