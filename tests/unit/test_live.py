"""What a terminal shows while a drain is at work, told by a tiny terminal of our own."""

import pytest

from drainer.cli import output
from drainer.cli.live import UP_AND_CLEAR, Board, ticking
from drainer.errors import EngineError, ExitCode
from tests.unit.command import Drainer


class Terminal:
    """Knows lines, and going up to empty one."""

    def __init__(self) -> None:
        self.lines = [""]
        self.seconds = 0.0
        self.board = Board(self.write, lambda: 40, lambda: self.seconds)

    def write(self, text: str) -> None:
        while text:
            if text.startswith(UP_AND_CLEAR):
                text = text.removeprefix(UP_AND_CLEAR)
                assert self.lines.pop() == "", "only whole lines are gone over"
                self.lines[-1] = ""
            else:
                line, newline, text = text.partition("\n")
                self.lines[-1] += line
                if newline:
                    self.lines.append("")

    @property
    def shown(self) -> list[str]:
        assert self.lines[-1] == ""
        return self.lines[:-1]


def test_the_block_stays_below_what_is_done() -> None:
    terminal = Terminal()
    board = terminal.board
    board.under_way("web", "held")
    terminal.seconds = 2
    board.under_way("db", "dumping")
    board.under_way("web", "dumping")
    assert terminal.shown == ["  web: dumping, 2 s", "  db: dumping, 0 s"]
    board.line("drainer: something was said")
    terminal.seconds = 5
    board.tick()
    assert terminal.shown == [
        "drainer: something was said",
        "  web: dumping, 5 s",
        "  db: dumping, 3 s",
    ]
    board.done("web")
    board.line("drainer: web: stopped")
    assert terminal.shown[1:] == ["drainer: web: stopped", "  db: dumping, 3 s"]
    board.clear()
    board.done("nothing")
    assert terminal.shown == ["drainer: something was said", "drainer: web: stopped"]


def test_many_are_summed_up_and_long_names_cut() -> None:
    terminal = Terminal()
    for number in range(30):
        terminal.board.under_way(f"{number:02}-" + "x" * 100, "dumping")
    assert len(terminal.shown) == 13
    assert terminal.shown[-1] == "  and 18 more"
    assert max(map(len, terminal.shown)) < 40
    terminal.board.clear()
    assert terminal.shown == []


def test_a_terminal_that_is_gone_stops_no_work() -> None:
    def gone(_text: str) -> None:
        raise BrokenPipeError

    with ticking(Board(gone, lambda: 80), 0.01) as board:
        board.under_way("web", "dumping")
        board.line("a line")


def test_a_drain_on_a_terminal_says_only_what_has_ended(
    drainer: Drainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(output, "_to_terminal", terminal.write)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    drainer.world.add("web", "always")
    drainer.world.add("db\x1b[2J", "always")
    drainer.world.engine.script("create_checkpoint", "db\x1b[2J", error=EngineError("no"))
    assert drainer("drain") == ExitCode.PARTIAL
    assert sorted(terminal.shown) == [r"drainer: db\x1b[2J: left: no", "drainer: web: stopped"]
    assert "draining 2 of 2" in drainer.err
    assert "dumping" not in drainer.err


@pytest.mark.parametrize("kind", ["dumb", ""])
def test_a_dumb_terminal_gets_lines(
    drainer: Drainer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("TERM", kind or "dumb")
    monkeypatch.setattr("sys.stderr.isatty", lambda: bool(kind), raising=False)
    drainer.world.add("web", "always")
    assert drainer("drain") == ExitCode.OK
    assert "drainer: web: dumping" in drainer.err
    assert "\x1b" not in drainer.err
