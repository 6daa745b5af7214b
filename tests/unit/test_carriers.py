import time
from pathlib import Path

import pytest

from drainer.carriers import runtime
from drainer.carriers.runtime import RuntimeCarrier
from drainer.engine.fake import FakeEngine
from drainer.manifest import Entry, State
from drainer.model import RestartPolicy, Route
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
