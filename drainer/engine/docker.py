"""The real engine: Docker's API over its socket."""

import math
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from drainer.engine import answer, inspect
from drainer.engine.docker_addresses import AddressCalls
from drainer.engine.docker_trials import TrialCalls
from drainer.errors import (
    ContainerGoneError,
    DrainerError,
    EngineError,
    EngineTimeoutError,
    EngineUnavailableError,
    NoPermissionError,
)
from drainer.model import (
    Container,
    EngineFacts,
    RestartPolicy,
)

if TYPE_CHECKING:
    from docker import APIClient
    from requests import Response

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_OK = range(200, 300)
_NOT_MODIFIED = 304
_NOT_FOUND = 404
_POLL_SECONDS = 0.1
_CONTAINERD_AWAY = re.compile(r"\bUnavailable: |\bcode = Unavailable\b|: unavailable$")
"""In Docker's words while containerd is down or starts anew (grpc's status 14)."""
_HINT_DOWN = "see: systemctl status docker; journalctl -u docker"
_HINT_EXPERIMENTAL = 'set "experimental": true in /etc/docker/daemon.json and restart Docker'


class DockerEngine(AddressCalls, TrialCalls):
    """`drainer.engine.base.Engine` on a Docker daemon.

    The Docker SDK provides the transport and the API version; it knows no checkpoints, and so
    every request goes through the session that its client is. `DOCKER_HOST`, the contexts of the
    command line and proxy settings are ignored: at shutdown there is one daemon to talk to.
    """

    def __init__(
        self,
        base_url: str = "unix:///run/docker.sock",
        *,
        connect_timeout: float = 10.0,
        request_timeout: float = 60.0,
        kill_timeout: float = 30.0,
    ) -> None:
        """Set the socket and the limits in seconds. Nothing is asked of Docker yet."""
        self._base_url = base_url
        self._connect_timeout = connect_timeout
        self._request_timeout = request_timeout
        self._kill_timeout = kill_timeout
        self._threads = threading.local()
        self._api_version: str | None = None
        self._root_dir = "/var/lib/docker"
        """Docker's own; this one until `facts` has asked."""

    def facts(self) -> EngineFacts:
        """Describe the daemon."""
        found = inspect.engine_facts(self._get("/info"), self._get("/version"))
        self._root_dir = found.root_dir
        return found

    def running(self) -> tuple[Container, ...]:
        """Inspect every running container (paused and restarting ones too), oldest start first."""
        found = []
        for identity in inspect.container_ids(self._get("/containers/json")):
            try:
                container = self.inspect(identity)
            except ContainerGoneError:
                continue
            except EngineUnavailableError:
                raise
            except EngineError:
                # Planned as one whose processes cannot be seen: it stops no other.
                container = Container(identity, identity[:12])
            if container.running:
                found.append(container)
        # Docker trims the zeros of its fractions of a second: without the `Z` text sorts as time.
        return tuple(sorted(found, key=lambda c: (c.started_at.removesuffix("Z"), c.id)))

    def inspect(self, container: str) -> Container:
        """Inspect one container by id or name, running or not."""
        data = self._get(_path(container, "json"), container=container)
        runtime = "runc"
        if inspect.names_no_runtime(data):
            runtime = self.facts().default_runtime
        sessions = sum(self._is_open(session) for session in inspect.exec_ids(data))
        return inspect.container_from(data, default_runtime=runtime, exec_sessions=sessions)

    def set_restart_policy(self, container: str, policy: RestartPolicy) -> None:
        """Change the restart policy; durable when this returns.

        An empty name means `no`, and Docker would take it for "leave as it is" (moby
        container/container_unix.go UpdateContainer).
        """
        wanted: dict[str, object] = {"Name": policy.name or "no"}
        if policy.name == "on-failure":
            wanted["MaximumRetryCount"] = policy.max_retries
        self._post(container, "update", body={"RestartPolicy": wanted})
        # Docker flushes the new file, and not its name (moby pkg/atomicwriter Close).
        with suppress(OSError):
            _flush(Path(self._root_dir) / "containers" / container)

    def pause(self, container: str) -> None:
        """Freeze the container's processes. An error when it is paused already."""
        self._post(container, "pause")

    def unpause(self, container: str) -> None:
        """Thaw the container's processes. An error when it is not paused."""
        self._post(container, "unpause")

    def kill(self, container: str) -> None:
        """Send SIGKILL, also to a paused container, and wait until Docker sees it down.

        Docker thaws a paused container after the signal, so none of its code runs any more (moby
        daemon/kill.go). A container that is down already is no error.
        """
        try:
            self._post(container, "kill", params={"signal": "SIGKILL"})
        except (ContainerGoneError, EngineTimeoutError, EngineUnavailableError):
            raise
        except EngineError:
            if self._is_running(container):
                raise
        deadline = time.monotonic() + self._kill_timeout
        while self._is_running(container):
            if time.monotonic() >= deadline:
                raise EngineTimeoutError(
                    f"container {container} still runs {self._kill_timeout:g} s after SIGKILL"
                )
            time.sleep(_POLL_SECONDS)

    def stop_in_order(self, container: str, timeout: float) -> None:
        """Tell a container to stop, kill it after its own grace; no error when it is down."""
        self._post(container, "stop", timeout=timeout)

    def create_checkpoint(self, container: str, name: str, timeout: float) -> None:
        """Checkpoint a running or paused container and leave it as it is.

        A time-out does not end the work: Docker goes on with it (moby daemon/checkpoint.go).
        """
        body = {"CheckpointID": _checkpoint(name), "Exit": False}
        self._post(container, "checkpoints", body=body, timeout=timeout)

    def checkpoints(self, container: str) -> tuple[str, ...]:
        """List the names of a container's checkpoints, complete or not."""
        return inspect.checkpoint_names(
            self._get(_path(container, "checkpoints"), container=container)
        )

    def delete_checkpoint(self, container: str, name: str) -> None:
        """Delete a checkpoint; no error when there is none of that name."""
        path = _path(container, "checkpoints", _checkpoint(name))
        try:
            self._call("DELETE", path, container=container)
        except (ContainerGoneError, EngineTimeoutError, EngineUnavailableError):
            raise
        except EngineError as error:
            if "does not exist" not in error.message:
                raise

    def start(self, container: str, timeout: float, checkpoint: str = "") -> None:
        """Start a container, cold or from a checkpoint. No error when it runs already.

        That this returns does not prove that a checkpoint was used.
        """
        params = {"checkpoint": _checkpoint(checkpoint)} if checkpoint else {}
        self._post(container, "start", params=params, timeout=timeout)

    def remove(self, container: str) -> None:
        """Kill and remove a container and its anonymous volumes; no error when it is gone."""
        with suppress(ContainerGoneError):
            self._call(
                "DELETE",
                _path(container),
                container=container,
                params={"force": "true", "v": "true"},
            )

    def _is_running(self, container: str) -> bool:
        try:
            data = self._get(_path(container, "json"), container=container)
        except ContainerGoneError:
            return False
        return inspect.container_from(data).running

    def _is_open(self, session: str) -> bool:
        response = self._call("GET", f"/exec/{quote(session, safe='')}/json", accept=_NOT_FOUND)
        return response.status_code != _NOT_FOUND and inspect.exec_is_running(
            answer.json_of(response)
        )

    def _post(
        self,
        container: str,
        action: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        timeout: float | None = None,
    ) -> None:
        path = _path(container, action)
        self._call("POST", path, container=container, params=params, body=body, timeout=timeout)

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
        accept: int = _NOT_MODIFIED,
    ) -> "Response":
        """Make one request and return its answer, or raise what it means.

        A 304 says that there was nothing to do; the body of any other answer outside of 2xx is
        Docker's reason. `accept` is the one status that is fine beside 2xx.
        """
        from urllib3.exceptions import HTTPError as TransportError  # noqa: PLC0415 - see `_client`

        limit = self._request_timeout if timeout is None else timeout
        try:
            client = self._client()
            response = client.request(
                method,
                f"{client.base_url}/v{client.api_version}{path}",
                params=params,
                json=body,
                data=archive,
                headers={"Content-Type": "application/x-tar"} if archive else None,
                timeout=(self._connect_timeout, limit),
                # Docker redirects only paths that it would clean up, and then to another call.
                allow_redirects=False,
                stream=True,
            )
            answer.read(response, limit)
        except (OSError, TransportError) as error:  # requests' exceptions are OSErrors
            raise self._unanswered(error, f"{method} {path}", limit) from error
        if response.status_code in _OK or response.status_code == accept:
            return response
        raise _refused(response, container)

    def _client(self) -> "APIClient":
        """Return this thread's client: a requests session must not be shared by threads."""
        from docker import APIClient  # noqa: PLC0415 - takes long, and `--help` needs no Docker
        from docker.errors import DockerException  # noqa: PLC0415 - the same

        client: APIClient | None = getattr(self._threads, "client", None)
        if client is None:
            limit = math.ceil(self._request_timeout)
            try:
                client = APIClient(self._base_url, version=self._api_version, timeout=limit)
            except DockerException as error:
                raise self._unanswered(error, "GET /version", limit) from error
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise EngineError(
                    f"the Docker SDK cannot be set up: {error}",
                    "look for damage in root's ~/.docker/config.json, which the SDK reads",
                ) from error
            client.trust_env = False
            self._api_version = client.api_version
            self._threads.client = client
        return client

    def _unanswered(self, error: Exception, request: str, limit: float) -> DrainerError:
        """Tell what a request without an answer means, from all that the error wraps."""
        from requests import HTTPError, Timeout  # noqa: PLC0415 - see `_client`
        from urllib3.exceptions import HTTPError as TransportError  # noqa: PLC0415 - the same
        from urllib3.exceptions import TimeoutError as PoolTimeoutError  # noqa: PLC0415 - the same

        causes = tuple(_causes(error))
        for cause in causes:
            if isinstance(cause, PermissionError):
                return NoPermissionError(
                    f"access to Docker at {self._base_url} is denied", "run drainer as root"
                )
            # requests hides a time-out while the body is read in a ConnectionError.
            if isinstance(cause, TimeoutError | Timeout | PoolTimeoutError):
                return EngineTimeoutError(
                    f"Docker did not answer {request} within {limit:g} s", _HINT_DOWN
                )
            if isinstance(cause, HTTPError) and cause.response is not None:
                return _refused(cause.response, "")
        # An answer that is not JSON is an OSError to requests, and a ValueError.
        answered = any(isinstance(cause, ValueError) for cause in causes)
        broken = any(isinstance(cause, OSError | TransportError) for cause in causes)
        if answered or not broken:
            return EngineError(f"Docker at {self._base_url}: {error}")
        system = [cause.strerror for cause in causes if isinstance(cause, OSError)]
        detail = next((text for text in reversed(system) if text), str(causes[-1]))
        return EngineUnavailableError(
            f"Docker does not answer at {self._base_url}: {detail}", _HINT_DOWN
        )


def _flush(directory: Path) -> None:
    """Have the names in a directory on disk. Raises `OSError`."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _causes(error: object, depth: int = 10) -> Iterator[BaseException]:
    """Yield an error and those that it wraps: requests and urllib3 keep them in their arguments."""
    if not isinstance(error, BaseException) or depth == 0:
        return
    yield error
    for inner in (*error.args, getattr(error, "reason", None), error.__cause__):
        yield from _causes(inner, depth - 1)


def _refused(response: "Response", container: str) -> EngineError:
    """Turn an answer other than success into an error with Docker's own words."""
    try:
        body: object = response.json()
    except (ValueError, RecursionError):
        body = None
    message = body.get("message") if isinstance(body, dict) else response.text
    words = message.strip() if isinstance(message, str) else ""
    words = words or f"Docker answered with HTTP status {response.status_code}"
    if _CONTAINERD_AWAY.search(words):
        return EngineUnavailableError(words, _HINT_DOWN)
    # Starting a container can fail because another one, which it joins, does not exist.
    if response.status_code == _NOT_FOUND and container:
        # Some calls put words before it: `cannot kill container: X: No such container: X`.
        _, found, missing = words.lower().rpartition("no such container: ")
        if found and missing.lstrip("/") == container.lower().lstrip("/"):
            return ContainerGoneError(words)
    return EngineError(words, _HINT_EXPERIMENTAL if "experimental" in words else "")


def _path(container: str, *rest: str) -> str:
    """Return a path under /containers; `..` as a name must never lead to another call."""
    name = container.removeprefix("/")
    if not _NAME.fullmatch(name):
        raise ContainerGoneError(f"No such container: {container}")
    return "/".join(("/containers", name, *rest))


def _checkpoint(name: str) -> str:
    """Return a name that is safe in a path. Docker's own rule is stricter by a character."""
    if not _NAME.fullmatch(name):
        raise EngineError(
            f"Invalid checkpoint ID ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )
    return name
