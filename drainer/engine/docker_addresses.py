"""The calls to Docker that tell what is there for containers, and that keep their addresses."""

import json
from collections.abc import Mapping
from urllib.parse import quote

from drainer.engine import answer, inspect
from drainer.engine.docker_requests import Requests
from drainer.labels import LABEL_PLACEHOLDER, PLACEHOLDER_PREFIX
from drainer.networks import Endpoint, Pool


class AddressCalls(Requests):
    """A part of `drainer.engine.base.Engine`, over the requests of `DockerEngine`."""

    def networks(self) -> Mapping[str, str]:
        """Return the names of all networks, by id."""
        return inspect.network_names(self._get("/networks"))

    def volumes(self) -> frozenset[str]:
        """Return the names of all volumes."""
        return inspect.volume_names(self._get("/volumes"))

    def network(self, name: str) -> Mapping[str, Endpoint]:
        """Return what is allotted on a network, by container id."""
        return inspect.endpoints(self._get(f"/networks/{quote(name, safe='')}"))

    def pools(self, name: str) -> tuple[Pool, ...]:
        """Return from where Docker chooses the addresses of a network, in Docker's order."""
        return inspect.pools(self._get(f"/networks/{quote(name, safe='')}"))

    def create_placeholder(self, image: str, network: str, name: str) -> str:
        """Create a container that only holds addresses of one network; return its id.

        Docker never pulls an image here.
        """
        body = _placeholder(image, network)
        return inspect.new_id(
            answer.json_of(
                self._call("POST", "/containers/create", params={"name": name}, body=body)
            )
        )

    def placeholders(self) -> tuple[str, ...]:
        """List the ids of all placeholders, running or not."""
        filters = json.dumps({"label": [LABEL_PLACEHOLDER], "name": [f"^/{PLACEHOLDER_PREFIX}"]})
        response = self._call("GET", "/containers/json", params={"all": "true", "filters": filters})
        return inspect.container_ids(answer.json_of(response))


def _placeholder(image: str, network: str) -> dict[str, object]:
    """Return the body that creates a placeholder: whatever an image may bring is overruled.

    Its user may be missing in it, its health check would be run, and it may have no command.
    """
    return {
        "Image": image,
        "Entrypoint": [],
        "Cmd": ["placeholder"],
        "User": "0:0",
        "WorkingDir": "/",
        "Healthcheck": {"Test": ["NONE"]},
        "Labels": {LABEL_PLACEHOLDER: "true"},
        "HostConfig": {
            "NetworkMode": network,
            "LogConfig": {"Type": "none"},
            "RestartPolicy": {"Name": "no"},
            # The daemon's default may be another one, which has no stand-in.
            "Runtime": "runc",
        },
    }
