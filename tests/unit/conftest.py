from pathlib import Path

import pytest

from tests.unit.command import Drainer
from tests.unit.world import World


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pauses between two tries take no time."""
    for name in ("resume.PASS_PAUSE", "carriers.engine.CLASH_PAUSE", "resume.RESTORE_POLL"):
        monkeypatch.setattr(f"drainer.{name}", 0.0)
    monkeypatch.setattr("drainer.release.RESTART_PAUSE", 0.0)
    monkeypatch.setattr("drainer.runtime.stand_in.LEAVE_SECONDS", 0.1)
    monkeypatch.setattr("drainer.admission.PATIENCE", 0.0)
    monkeypatch.setattr("drainer.ghost.PATIENCE", 0.0)
    monkeypatch.setattr("drainer.drain.KILL_POLL", 0.0)
    monkeypatch.setattr("drainer.drain.KILL_PATIENCE", 0.0)


@pytest.fixture
def drainer(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Drainer:
    return Drainer(world, monkeypatch, capsys)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "state")
