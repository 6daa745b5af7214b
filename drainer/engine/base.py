"""What drainer asks of Docker."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from drainer.model import Container, EngineFacts, RestartPolicy
from drainer.networks import Endpoint, Pool


class Engine(Protocol):
    """Docker's Engine API, as far as drainer needs it.

    Every method is safe to call from several threads at once. All raise
    `EngineUnavailableError` when Docker does not answer, `EngineTimeoutError` when it does not
    answer in time, `ContainerGoneError` for a container that is not there, and `EngineError`
    with Docker's own message for every other refusal. `timeout` is in seconds.
    """

    def facts(self) -> EngineFacts:
        """Describe the daemon."""

    def running(self) -> tuple[Container, ...]:
        """Inspect every running container (paused and restarting ones too), oldest start first."""

    def inspect(self, container: str) -> Container:
        """Inspect one container by id or name, running or not."""

    def set_restart_policy(self, container: str, policy: RestartPolicy) -> None:
        """Change the restart policy; durable when this returns."""

    def pause(self, container: str) -> None:
        """Freeze the container's processes. An error when it is paused already."""

    def unpause(self, container: str) -> None:
        """Thaw the container's processes. An error when it is not paused."""

    def kill(self, container: str) -> None:
        """Send SIGKILL, also to a paused container, and wait until Docker sees it down."""

    def stop_in_order(self, container: str, timeout: float) -> None:
        """Do what `docker stop` does, with the container's own signal and grace.

        Its restart policy does not bring it back until Docker starts anew. No error when it is
        down.
        """

    def create_checkpoint(self, container: str, name: str, timeout: float) -> None:
        """Checkpoint a running or paused container and leave it as it is.

        A time-out does not end the work: Docker goes on with it (moby daemon/checkpoint.go).
        """

    def checkpoints(self, container: str) -> tuple[str, ...]:
        """List the names of a container's checkpoints, complete or not."""

    def delete_checkpoint(self, container: str, name: str) -> None:
        """Delete a checkpoint; no error when there is none of that name."""

    def start(self, container: str, timeout: float, checkpoint: str = "") -> None:
        """Start a container, cold or from a checkpoint. No error when it runs already.

        That this returns does not prove that a checkpoint was used.
        """

    def networks(self) -> Mapping[str, str]:
        """Return the names of all networks, by id."""

    def volumes(self) -> frozenset[str]:
        """Return the names of all volumes."""

    def network(self, name: str) -> Mapping[str, Endpoint]:
        """Return what is allotted on a network, by container id.

        A container that is being started is listed as soon as it has its addresses; this does not
        wait for the start to end, as `inspect` does.
        """

    def pools(self, name: str) -> tuple[Pool, ...]:
        """Return from where Docker chooses the addresses of a network, in Docker's order."""

    def create_placeholder(self, image: str, network: str, name: str) -> str:
        """Create a container that only holds addresses of one network; return its id.

        It has the label `LABEL_PLACEHOLDER`; `name` begins with `PLACEHOLDER_PREFIX`. `image` must
        be there. Nothing of it is run if the stand-in for runc knows of the container before it is
        started.
        """

    def remove(self, container: str) -> None:
        """Kill and remove a container and its anonymous volumes; no error when it is gone."""

    def placeholders(self) -> tuple[str, ...]:
        """List the ids of all placeholders, running or not."""

    def import_image(self, archive: bytes) -> str:
        """Make an image, without a name, of a root file system as a tar archive; return its id.

        It has the label `LABEL_DOCTOR`. No registry is asked.
        """

    def create_trial(self, image: str, name: str, network: str, command: Sequence[str]) -> str:
        """Create a container with the label `LABEL_DOCTOR` and no restart policy; return its id.

        `name` begins with `TRIAL_PREFIX`. Otherwise it is as the daemon makes any container in that
        network mode.
        """

    def logs(self, container: str) -> str:
        """Return the last few lines of a container's output, running or not; untrusted."""

    def trials(self) -> tuple[str, ...]:
        """List the ids of the containers made by `create_trial`, running or not.

        They have its label and its kind of name: one that somebody else labelled is none.
        """

    def trial_images(self) -> tuple[str, ...]:
        """List the ids of the images with the label `LABEL_DOCTOR` that nobody has named."""

    def remove_image(self, image: str) -> None:
        """Remove an image; no error when it is gone, an error when a container uses it."""
