"""The calls to Docker that only `drainer doctor --live` makes: a throw-away image and container."""

import json
from collections.abc import Sequence
from urllib.parse import quote

from drainer.engine import answer, inspect
from drainer.engine.docker_requests import Requests
from drainer.errors import EngineError
from drainer.labels import LABEL_DOCTOR, TRIAL_PREFIX

_NOT_FOUND = 404
_CONTAINERS = json.dumps({"label": [LABEL_DOCTOR], "name": [f"^/{TRIAL_PREFIX}"]})
_IMAGES = json.dumps({"label": [LABEL_DOCTOR], "dangling": ["true"]})
_LOG_LINES = "5"
_FRAME_HEAD = 8
_LENGTH = slice(4, 8)


class TrialCalls(Requests):
    """A part of `drainer.engine.base.Engine`, over the requests of `DockerEngine`."""

    def import_image(self, archive: bytes) -> str:
        """Make an image, without a name, of a root file system as a tar archive; return its id."""
        params = {"fromSrc": "-", "changes": f"LABEL {LABEL_DOCTOR}=true"}
        response = self._call("POST", "/images/create", params=params, archive=archive)
        return imported_id(response.text)

    def create_trial(self, image: str, name: str, network: str, command: Sequence[str]) -> str:
        """Create a container with the label `LABEL_DOCTOR` and no restart policy; return its id."""
        body = {
            "Image": image,
            "Cmd": list(command),
            "Labels": {LABEL_DOCTOR: "true"},
            "HostConfig": {
                "NetworkMode": network,
                "RestartPolicy": {"Name": "no"},
                # The daemon's default may be one that cannot be read back.
                "LogConfig": {"Type": "json-file"},
            },
        }
        response = self._call("POST", "/containers/create", params={"name": name}, body=body)
        return inspect.new_id(answer.json_of(response))

    def logs(self, container: str) -> str:
        """Return the last few lines of a container's output, running or not; untrusted."""
        params = {"stdout": "true", "tail": _LOG_LINES}
        path = f"/containers/{quote(container, safe='')}/logs"
        response = self._call("GET", path, container=container, params=params)
        return demultiplexed(response.content).decode(errors="replace")

    def trials(self) -> tuple[str, ...]:
        """List the ids of the containers made by `create_trial`, running or not."""
        params = {"all": "true", "filters": _CONTAINERS}
        return inspect.container_ids(
            answer.json_of(self._call("GET", "/containers/json", params=params))
        )

    def trial_images(self) -> tuple[str, ...]:
        """List the ids of the images with the label `LABEL_DOCTOR` that nobody has named."""
        response = self._call("GET", "/images/json", params={"filters": _IMAGES})
        return inspect.container_ids(answer.json_of(response))

    def remove_image(self, image: str) -> None:
        """Remove an image; no error when it is gone, an error when a container uses it."""
        self._call("DELETE", f"/images/{quote(image, safe='')}", accept=_NOT_FOUND)


def imported_id(text: str) -> str:
    """Read the answer of `POST /images/create?fromSrc=-`: JSON objects, one a line.

    The last one's status is the id; an error comes with HTTP status 200 if Docker had already
    begun to answer (moby api/server/router/image).
    """
    last: object = None
    for line in filter(None, map(str.strip, text.splitlines())):
        try:
            last = json.loads(line)
        except ValueError as error:
            raise EngineError(f"Docker's answer to an import is not JSON: {error}") from error
        if isinstance(last, dict) and last.get("error"):
            raise EngineError(str(last["error"]))
    status = last.get("status") if isinstance(last, dict) else None
    if not isinstance(status, str) or not status:
        raise EngineError("Docker's answer cannot be used: the new image has no id")
    return status


def demultiplexed(data: bytes) -> bytes:
    """Join the frames of a log: a head with the payload's length in its last four bytes, then it.

    Only for containers without a terminal (moby api/swagger.yaml, ContainerAttach).
    """
    payload = b""
    while len(data) >= _FRAME_HEAD:
        end = _FRAME_HEAD + int.from_bytes(data[_LENGTH], "big")
        payload += data[_FRAME_HEAD:end]
        data = data[end:]
    return payload
