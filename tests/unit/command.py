"""The command line on a host in memory."""

import json
import signal
import sys
from typing import Any

import pytest

from drainer import cli
from drainer.cli.wiring import Settings
from tests.unit.world import World


class Drainer:
    """Runs the command line, and keeps what it printed."""

    def __init__(
        self, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.world = world
        self.out = self.err = ""
        monkeypatch.setattr(Settings, "engine", lambda _self: world.engine)
        monkeypatch.setattr(Settings, "host", lambda _self: world.host)
        monkeypatch.setattr(Settings, "runtime", lambda _self, _facts=None: world.runtime)

    def __call__(self, *words: str) -> int:
        argv = ["drainer", "--state-dir", str(self.world.state), *words]
        self._monkeypatch.setattr(sys, "argv", argv)
        handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            with pytest.raises(SystemExit) as ended:
                cli.main()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            self.out, self.err = self._capsys.readouterr()
        return int(ended.value.code or 0)

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        assert document["format_version"] == "1.0"
        return document
