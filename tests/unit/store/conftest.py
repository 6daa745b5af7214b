import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from drainer.store.files import StateDirectory


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[StateDirectory]:
    state = StateDirectory(tmp_path / "state", uid=os.geteuid())
    yield state
    state.close()
