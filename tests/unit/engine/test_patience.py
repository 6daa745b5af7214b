import pytest

from drainer.deadline import Deadline
from drainer.engine import patience
from drainer.engine.fake import FakeEngine
from drainer.engine.patience import wait_for_engine
from drainer.errors import EngineUnavailableError


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "POLL", 0.001)


def away(times: int) -> FakeEngine:
    engine = FakeEngine()
    for nth in range(1, times + 1):
        engine.script("facts", nth=nth, error=EngineUnavailableError("away"))
    return engine


def test_it_waits_until_docker_answers() -> None:
    engine = away(5)
    wait_for_engine(engine, Deadline(None), 30)
    assert len(engine.calls) == 6


@pytest.mark.parametrize(("budget", "seconds"), [(None, 0.0), (0.0, 30.0)])
def test_it_waits_no_longer_than_it_may(budget: float | None, seconds: float) -> None:
    with pytest.raises(EngineUnavailableError):
        wait_for_engine(away(50), Deadline(budget), seconds)
