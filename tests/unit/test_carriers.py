import time
from pathlib import Path

import pytest

from drainer.carriers import runtime
from drainer.carriers.runtime import RuntimeCarrier
from drainer.engine.fake import FakeEngine
from drainer.errors import EngineError
from drainer.manifest import Entry, State
from drainer.model import Container, RestartPolicy, Route
from drainer.runtime.fake import FakeRuntime


class Restoring(FakeRuntime):
    """A runtime with a restore under way that never ends by itself."""

    held = True
    looks = 0

    def is_under_way(self, container: str) -> bool:
        del container
        self.looks += 1
        return True

    def is_held(self, container: str) -> bool:
        del container
        return self.held


@pytest.mark.parametrize(
    ("held", "timeout", "least", "most"), [(True, 30.0, 0.1, 10.0), (False, 0.4, 0.4, 10.0)]
)
def test_a_restore_that_the_engine_does_not_let_go_on_is_not_waited_for_to_its_limit(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    timeout: float,
    least: float,
    most: float,
    *,
    held: bool,
) -> None:
    monkeypatch.setattr(runtime, "HELD_PATIENCE", 0.1)
    monkeypatch.setattr(runtime, "POLL", 0.01)
    restoring = Restoring(FakeEngine())
    restoring.held = held
    carrier = RuntimeCarrier(FakeEngine(), restoring, tmp_path)
    entry = Entry("a" * 64, "web", "image", State.RESTORING, RestartPolicy(), route=Route.RUNTIME)
    begin = time.monotonic()
    carrier.wait(entry, timeout)
    assert least <= time.monotonic() - begin < most


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("Can't open file /tmp/x", "Can't open file /tmp/x"),
        ("One of more action scripts failed", "failed to set up container networking"),
        ("", "failed to set up container networking"),
    ],
)
def test_why_a_restore_failed_is_said_by_who_knows(tmp_path: Path, log: str, said: str) -> None:
    engine = FakeEngine()
    engine.add(Container("a" * 64, "web", running=False))
    made = FakeRuntime(engine)
    made.restore_errors["a" * 64] = log

    def refuse() -> None:
        # The stand-in was reached: a refusal before that is its own, and no restore's.
        with engine.runtime_call("reach") as daemon:
            daemon.find("a" * 64).reached = True

    words = EngineError("failed to set up container networking")
    engine.script("start", error=words, run=refuse)
    carrier = RuntimeCarrier(engine, made, tmp_path)
    entry = Entry("a" * 64, "web", "image", State.RESTORING, RestartPolicy(), route=Route.RUNTIME)
    with pytest.raises(EngineError, match=said):
        carrier.restore(entry, 1.0)
