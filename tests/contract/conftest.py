"""The contract runs on the fake engine, and on this host's Docker when that is asked for.

Set `DRAINER_CONTRACT_DOCKER=1` as root on a disposable host. Checkpoints need an experimental
daemon and CRIU there.
"""

import os
from collections.abc import Callable, Iterator

import pytest

from .harness import DockerHarness, FakeHarness, Harness

HARNESSES: dict[str, Callable[[], Harness]] = {"fake": FakeHarness}
if os.environ.get("DRAINER_CONTRACT_DOCKER") == "1":
    HARNESSES["docker"] = DockerHarness


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "timeout(seconds): known where pytest-timeout is missing")


@pytest.fixture(params=list(HARNESSES.values()), ids=list(HARNESSES))
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    made: Harness = request.param()
    try:
        yield made
    finally:
        made.close()
