"""The part of the fake engine that keeping addresses needs."""

from collections.abc import Mapping
from contextlib import suppress

from drainer.engine.fake_gone import Gone
from drainer.engine.fake_requests import FakeRequests
from drainer.errors import ContainerGoneError, EngineError
from drainer.labels import LABEL_PLACEHOLDER, PLACEHOLDER_PREFIX
from drainer.model import Container
from drainer.networks import Address, Endpoint, Membership, Pool


class FakePlaceholders(FakeRequests):
    """A part of `drainer.engine.base.Engine`, over the daemon of `FakeEngine`."""

    @property
    def gone(self) -> Gone:
        """What is not there any more. Change it at will."""
        return self._daemon.gone

    def create_network(self, name: str) -> None:
        """Do what its owner's `docker network create` does."""
        self._daemon.networks.create(name)

    def remove_network(self, name: str) -> None:
        """Do what its owner's `docker network rm` does."""
        self._daemon.networks.remove(name)

    def connect(self, network: str, container: str) -> None:
        """Do what its owner's `docker network connect` does to one that is down."""
        box = self._daemon.find(container)
        others = tuple(m for m in box.container.networks if m.network != network)
        box.set(networks=(*others, Membership(network)))

    def networks(self) -> Mapping[str, str]:
        """Return the names of all networks, by id."""
        with self._call("networks"):
            return dict(self._daemon.networks.names)

    def volumes(self) -> frozenset[str]:
        """Return the names of the volumes that some container has."""
        with self._call("volumes"):
            boxes = self._daemon.boxes.values()
            named = {mount.name for box in boxes for mount in box.container.mounts}
            return frozenset(named) - self._daemon.gone.volumes

    def network(self, name: str) -> Mapping[str, Endpoint]:
        """Return what is allotted on a network, by container id."""
        with self._call("network", argument=name):
            return {
                box.container.id: Endpoint(address.ipv4, address.ipv6, address.mac)
                for box in self._daemon.boxes.values()
                for address in box.container.addresses
                if box.container.running and address.network == name
            }

    def pools(self, name: str) -> tuple[Pool, ...]:
        """Return from where the addresses of a network are chosen."""
        with self._call("pools", argument=name):
            return self._daemon.networks.of(name)

    def create_placeholder(self, image: str, network: str, name: str) -> str:
        """Create a container that only holds addresses of one network; return its id.

        The images that are there are those that some container has.
        """
        with self._call("create_placeholder", argument=network):
            container = Container(
                id=name.encode().hex().ljust(64, "0"),
                name=name,
                image=image,
                running=False,
                network_mode=network,
                labels={LABEL_PLACEHOLDER: "true"},
                addresses=(Address(network),),
            )
            if image not in {box.container.image for box in self._daemon.boxes.values()}:
                raise EngineError(f"No such image: {image}:latest")
            if container.id in self._daemon.boxes:
                raise EngineError(f'Conflict. The container name "/{name}" is already in use')
            self._daemon.add(container, memory=0, checkpoint_size=0)
            return container.id

    def remove(self, container: str) -> None:
        """Kill and remove a container: its checkpoints go with it. No error when it is gone."""
        with self._call("remove", container), suppress(ContainerGoneError):
            del self._daemon.boxes[self._daemon.find(container).container.id]

    def placeholders(self) -> tuple[str, ...]:
        """List the ids of all placeholders, running or not."""
        with self._call("placeholders"):
            found = (box.container for box in self._daemon.boxes.values())
            return tuple(
                c.id
                for c in found
                if LABEL_PLACEHOLDER in c.labels and c.name.startswith(PLACEHOLDER_PREFIX)
            )
