"""What goes to the journal, with which fields, and that each event is explained."""

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from drainer import journal
from drainer.errors import ExitCode
from drainer.journal import Event
from drainer.units import CATALOG, template
from tests.unit.command import Drainer


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Stand for the journal, which stderr goes to."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind(str(tmp_path / "journal"))
        found.settimeout(2)
        monkeypatch.setattr(journal.send, "__defaults__", (str(tmp_path / "journal"),))
        monkeypatch.setattr(journal, "is_ours", lambda: True)
        monkeypatch.setattr(journal, "_journal", journal._Journal())
        yield found


def entries(listener: socket.socket) -> list[dict[str, str]]:
    listener.settimeout(0.2)
    found: list[dict[str, str]] = []
    while True:
        try:
            data = listener.recv(1 << 16).decode()
        except TimeoutError:
            return found
        lines = data.removesuffix("\n").split("\n")
        found.append({key: value for key, _, value in (line.partition("=") for line in lines)})


def test_a_drain_is_told_with_fields(drainer: Drainer, listener: socket.socket) -> None:
    web = drainer.world.add("web", "always")
    assert drainer("drain") == ExitCode.OK
    found = entries(listener)
    (drained,) = [e for e in found if e.get("MESSAGE_ID") == Event.DRAINED]
    assert drained["MESSAGE"] == "web: stopped"
    assert (drained["PRIORITY"], drained["SYSLOG_IDENTIFIER"]) == ("6", "drainer")
    assert (drained["DRAINER_CONTAINER"], drained["DRAINER_CONTAINER_ID"]) == ("web", web.id)
    assert found[-1]["MESSAGE_ID"] == Event.DRAIN_ENDED
    assert found[-1]["DRAINER_DRAIN"] == drainer.world.file.read().drain_id
    assert drainer.err == ""


def test_what_is_wrong_is_told_louder(drainer: Drainer, listener: socket.socket) -> None:
    assert drainer("status") == ExitCode.NO_MANIFEST
    error, hint = entries(listener)
    assert (error["MESSAGE_ID"], error["PRIORITY"]) == (Event.FAILED, "3")
    assert (hint.get("MESSAGE_ID"), hint["PRIORITY"]) == (None, "6")


def test_no_name_makes_a_field_of_its_own(drainer: Drainer, listener: socket.socket) -> None:
    drainer.world.add("web\nPRIORITY=0\nX=y", "always")
    assert drainer("drain") == ExitCode.OK
    for entry in entries(listener):
        assert "X" not in entry
        assert entry["PRIORITY"] == "6"


def test_without_a_journal_it_goes_to_stderr(
    drainer: Drainer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(journal, "_journal", journal._Journal())
    monkeypatch.setattr(journal.send, "__defaults__", (str(tmp_path / "none"),))
    monkeypatch.setattr(journal, "is_ours", lambda: True)
    assert drainer("status") == ExitCode.NO_MANIFEST
    assert drainer.err.startswith("drainer: error: ")


def test_a_journal_that_is_silent_is_waited_for_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(journal, "_journal", journal._Journal())
    monkeypatch.setattr(journal, "_PATIENCE", 0.1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as silent:
        silent.bind(str(tmp_path / "journal"))
        sent = [journal.send("x" * 1000, None, {}, str(tmp_path / "journal")) for _ in range(9999)]
    assert sent[0]
    assert not sent[-1]


def test_stderr_is_compared_with_what_systemd_says() -> None:
    ours, other = socket.socketpair()
    with ours, other:
        found = os.fstat(ours.fileno())
        same = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert journal.is_ours(ours.fileno(), same)
        assert not journal.is_ours(other.fileno(), same)
        assert not journal.is_ours(ours.fileno(), {})
        assert not journal.is_ours(ours.fileno(), {"JOURNAL_STREAM": "x:y"})


def test_the_console_gets_every_line_and_is_never_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_console", journal._Console())
    console = tmp_path / "console"
    console.touch()
    for line in ("a line", "another"):
        journal.show_on_console(line, {"DRAINER_CONSOLE": str(console)})
    journal.show_on_console("unseen", {})
    assert console.read_bytes() == b"a line\r\nanother\r\n"
    monkeypatch.setattr(journal, "_console", journal._Console())
    journal.show_on_console("unseen", {"DRAINER_CONSOLE": str(tmp_path / "none" / "x")})
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    journal.show_on_console("nobody reads", {"DRAINER_CONSOLE": str(pipe)})


def test_each_event_is_explained_once_and_no_other() -> None:
    text = template(CATALOG)
    assert re.findall(r"^-- ([0-9a-f]{32})$", text, re.MULTILINE) == [e.value for e in Event]
    parts = text.split("\n-- ")[1:]
    for part in parts:
        head, _, body = part.partition("\n\n")
        assert re.search(r"^Subject: \S", head, re.MULTILINE)
        assert re.search(r"^Defined-By: drainer$", head, re.MULTILINE)
        assert len(body.strip()) > 40
    fields = set(re.findall(r"@([A-Z_]+)@", text))
    assert fields <= {"DRAINER_CONTAINER", "DRAINER_DETAIL"}
