"""What the parts of the fake engine are made of: one call at a time."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

from drainer.engine.fake_daemon import FakeDaemon


class FakeRequests(ABC):
    """The calls of `FakeEngine`, and the daemon that they are made to."""

    _daemon: FakeDaemon

    @abstractmethod
    def _call(
        self, method: str, container: str = "", argument: str = "", *, docker: bool = True
    ) -> AbstractContextManager[None]: ...
