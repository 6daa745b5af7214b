"""What the parts of the real engine are made of: one request at a time."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from drainer.engine import answer

if TYPE_CHECKING:
    from requests import Response


class Requests(ABC):
    """The requests of `DockerEngine`."""

    @abstractmethod
    def _call(
        self,
        method: str,
        path: str,
        *,
        container: str = "",
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        archive: bytes | None = None,
        timeout: float | None = None,
        accept: int = 0,
    ) -> "Response": ...

    def _get(self, path: str, container: str = "") -> object:
        """Read the JSON that Docker has at a path."""
        return answer.json_of(self._call("GET", path, container=container))
