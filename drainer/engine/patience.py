"""Wait for a Docker that is away."""

import time

from drainer.deadline import Deadline
from drainer.engine.base import Engine
from drainer.errors import EngineTimeoutError, EngineUnavailableError

POLL = 1.0
"""Seconds between two questions."""


def wait_for_engine(engine: Engine, deadline: Deadline, seconds: float) -> None:
    """Wait until Docker answers, at most so long.

    Raises `EngineUnavailableError` or `EngineTimeoutError` then.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            engine.facts()
        except (EngineUnavailableError, EngineTimeoutError):
            if time.monotonic() >= end or deadline.ended:
                raise
            deadline.sleep(POLL)
        else:
            return


def wait_until_running(engine: Engine, container: str, deadline: Deadline, seconds: float) -> None:
    """Wait until a restore that has outlasted its time has ended, at most so long.

    Raises `EngineTimeoutError` then.
    """
    end = time.monotonic() + deadline.limit(seconds)
    while not engine.inspect(container).running:
        if time.monotonic() >= end or deadline.interrupted:
            raise EngineTimeoutError("Docker has not ended the restore within its time")
        deadline.sleep(POLL)
