"""The part of the fake engine that only `drainer doctor --live` uses."""

from collections.abc import Sequence

from drainer.engine.fake_requests import FakeRequests
from drainer.errors import EngineError
from drainer.labels import LABEL_DOCTOR, TRIAL_PREFIX
from drainer.model import Container


class FakeTrials(FakeRequests):
    """A part of `drainer.engine.base.Engine`, over the daemon of `FakeEngine`."""

    images: set[str]
    """Ids of the images that were imported."""

    def import_image(self, archive: bytes) -> str:
        """Keep an id, of which the archive's size is a part."""
        with self._call("import_image"):
            image = f"sha256:{len(self.images):04x}{len(archive):060x}"
            self.images.add(image)
            return image

    def create_trial(self, image: str, name: str, network: str, command: Sequence[str]) -> str:
        """Create a container with the label `LABEL_DOCTOR`."""
        with self._call("create_trial", name, network):
            if image not in self.images:
                raise EngineError(f"No such image: {image}")
            if not command:
                raise EngineError("no command specified")
            container = Container(
                id=name.encode().hex().ljust(64, "0"),
                name=name,
                image=image,
                running=False,
                network_mode=network,
                labels={LABEL_DOCTOR: "true"},
            )
            if container.id in self._daemon.boxes:
                raise EngineError(f'Conflict. The container name "/{name}" is already in use')
            self._daemon.add(container, memory=0, checkpoint_size=1 << 20)
            return container.id

    def logs(self, container: str) -> str:
        """Let the container work on, if it can, and return its token and how far it has come."""
        with self._call("logs", container):
            box = self._daemon.find(container)
            if box.container.running and not box.container.paused:
                box.memory += 1
                box.layer += 1
                box.printed = f"{box.token} {box.memory}\n"
            return box.printed

    def trials(self) -> tuple[str, ...]:
        """List the ids of the containers made by `create_trial`."""
        with self._call("trials"):
            found = (box.container for box in self._daemon.boxes.values())
            return tuple(
                c.id for c in found if LABEL_DOCTOR in c.labels and c.name.startswith(TRIAL_PREFIX)
            )

    def trial_images(self) -> tuple[str, ...]:
        """List the imported images."""
        with self._call("trial_images"):
            return tuple(sorted(self.images))

    def remove_image(self, image: str) -> None:
        """Forget an image, unless a container uses it."""
        with self._call("remove_image", argument=image):
            if any(box.container.image == image for box in self._daemon.boxes.values()):
                raise EngineError(f"conflict: unable to delete {image}: a container is using it")
            self.images.discard(image)
