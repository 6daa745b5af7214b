from pathlib import Path

import pytest

from tests.unit.command import Drainer
from tests.unit.world import World


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pauses between two tries take no time."""
    for name in ("resume.PASS_PAUSE", "carriers.engine.CLASH_PAUSE", "engine.patience.POLL"):
        monkeypatch.setattr(f"drainer.{name}", 0.0)
    monkeypatch.setattr("drainer.release.RESTART_PAUSE", 0.0)
    monkeypatch.setattr("drainer.runtime.stand_in.LEAVE_SECONDS", 0.1)
    monkeypatch.setattr("drainer.admission.PATIENCE", 0.0)
    monkeypatch.setattr("drainer.ghost.PATIENCE", 0.0)
    monkeypatch.setattr("drainer.takedown.KILL_POLL", 0.0)
    monkeypatch.setattr("drainer.takedown.KILL_PATIENCE", 0.0)


@pytest.fixture(autouse=True)
def etc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keep the settings of this machine out; return the directory that stands for theirs."""
    root = tmp_path / "etc"
    monkeypatch.setattr("drainer.config.files.ROOTS", (root,))
    monkeypatch.setattr("drainer.hooks.DIRECTORY", root / "hooks.d")
    monkeypatch.setattr("drainer.store.request_file.PATH", tmp_path / "run" / "request.json")
    monkeypatch.setattr("drainer.login_message.PATH", tmp_path / "motd.d" / "drainer")
    return root


@pytest.fixture
def drainer(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Drainer:
    return Drainer(world, monkeypatch, capsys)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "state")
