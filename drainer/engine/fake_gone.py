"""What the containers of the fake daemon do not find any more."""

from dataclasses import dataclass, field

from drainer.errors import EngineError
from drainer.model import Container
from drainer.networks import Port


@dataclass(slots=True)
class Gone:
    """What containers were made with and Docker has to find at every start."""

    volumes: set[str] = field(default_factory=set)
    ports: dict[Port, str] = field(default_factory=dict)
    """Those of the host that others have, and who."""

    def require(self, container: Container) -> None:
        """Raise Docker's refusal to start a container that does not find what it is made with."""
        for mount in container.mounts:
            if mount.name in self.volumes:
                raise EngineError(f"get {mount.name}: no such volume")
        for port in container.ports:
            if port in self.ports:
                raise EngineError(f"failed to bind host {port}: address already in use")
