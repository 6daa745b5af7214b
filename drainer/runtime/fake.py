"""A runtime in memory, to go with `FakeEngine`, for tests and rehearsals."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from drainer.engine.fake import FakeEngine
from drainer.errors import ContainerGoneError, EngineError, RuntimeRefusedError
from drainer.host.following import Reading, nothing
from drainer.runtime.base import Order, Place


class FakeRuntime:
    """Implements `drainer.runtime.base.Runtime` over a `FakeEngine`.

    Its calls are among the engine's, and can be scripted like them: `dump`, `open_window`,
    `close_window`, `lay_out`, `withdraw`, `take_back`, `delete_dump`.
    """

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.orders: list[Order] = []
        """Every restore that was ever ordered."""
        self.thawed: list[str] = []
        """Every container of which it was seen to that no pre-dump keeps it frozen."""
        self.silent: set[str] = set()
        """Every container that is cut off now."""
        self.far: frozenset[str] = frozenset()
        """The addresses of all hosts that containers have connections with."""
        self.guarded: set[str] = set()
        """Every container whose connections to other hosts are guarded now."""
        self.lost: set[str] = set()
        """Every container whose connections are not all put back by its restore."""
        self.spoken: list[frozenset[str]] = []
        """Every group that was let reach its networks again."""
        self.placeholders: set[str] = set()
        """Every container that was ever to hold its addresses only."""
        self.restore_errors: dict[str, str] = {}
        """What CRIU's log tells of a failed restore, by container id."""

    def checkpoint(
        self,
        container: str,
        root: str,  # noqa: ARG002 - there is no runc
        place: Place,
        criu: Sequence[str],  # noqa: ARG002 - nor CRIU
        timeout: float,  # noqa: ARG002 - it takes no time
    ) -> Reading:
        """Keep what the container has in memory."""
        with self.engine.runtime_call("dump", container) as daemon:
            if not daemon.find(container).container.running:
                raise RuntimeRefusedError("CRIU could not checkpoint it: no such process")
            try:
                daemon.dump(container, _name(place))
            except EngineError as error:
                message = f"CRIU could not checkpoint it: {error.message}"
                raise RuntimeRefusedError(message) from error
        return nothing

    def pre_dump(
        self,
        container: str,
        root: str,  # noqa: ARG002 - there is no runc
        place: Place,  # noqa: ARG002 - and nothing is on disk
        criu: Sequence[str],  # noqa: ARG002 - nor CRIU
        timeout: float,  # noqa: ARG002 - it takes no time
    ) -> tuple[Reading, ...]:
        """See whether it could be saved."""
        with self.engine.runtime_call("pre_dump", container) as daemon:
            found = daemon.find(container).container
            if not found.running or found.paused:
                raise RuntimeRefusedError("CRIU could not checkpoint it: it is frozen")
        return ()

    def thaw(self, container: str, root: str) -> None:  # noqa: ARG002 - there is no runc
        """Note it in `thawed`."""
        self.thawed.append(container)

    def sweep(self) -> None:
        """Forget every order, and that the stand-in is in place."""
        with self.engine.runtime_call("sweep") as daemon:
            daemon.forget_orders()
        self.silent.clear()

    @contextmanager
    def window(self) -> Iterator[None]:
        """Put the stand-in in place while the block runs."""
        with self.engine.runtime_call("open_window") as daemon:
            daemon.stand_in = True
        try:
            yield
        finally:
            self.silent.clear()
            with self.engine.runtime_call("close_window") as daemon:
                daemon.stand_in = False

    def lay_out(self, order: Order) -> None:
        """Have the container's next start restore it."""
        with self.engine.runtime_call("lay_out", order.container) as daemon:
            self.orders.append(order)
            if order.quiet:
                self.silent.add(order.container)
            daemon.find(order.container).order = _name(order.place)

    def silence(self, container: str, pid: int) -> None:  # noqa: ARG002 - there is no network
        """Note it in `silent`."""
        self.silent.add(container)

    def speak(self, containers: Collection[str]) -> None:
        """Note it in `spoken`."""
        self.spoken.append(frozenset(containers))
        self.silent.difference_update(containers)

    def guard(
        self,
        place: Place,
        addresses: Collection[str],  # noqa: ARG002 - there is no network
        near: Collection[str],
    ) -> frozenset[str]:
        """Note it in `guarded`."""
        with self.engine.runtime_call("guard", place.path.name):
            self.guarded.add(place.path.name)
        return self.far - set(near)

    def end_guard(self, place: Place) -> None:
        """Take it out of `guarded`."""
        self.guarded.discard(place.path.name)

    def clear_guard(self) -> str:
        """Forget all in `guarded`."""
        self.guarded.clear()
        return ""

    def lay_out_placeholder(self, container: str) -> None:
        """Note it in `placeholders`."""
        with self.engine.runtime_call("lay_out_placeholder", container):
            self.placeholders.add(container)

    def forget_placeholder(self, container: str) -> None:
        """Forget nothing: `placeholders` has every one that ever was."""

    def is_under_way(self, container: str) -> bool:  # noqa: ARG002 - it takes no time
        """Answer no."""
        return False

    def is_held(self, container: str) -> bool:  # noqa: ARG002 - it takes no time
        """Answer no."""
        return False

    def withdraw(self, container: str, root: str) -> bool:  # noqa: ARG002 - there is no runc
        """Forget an order that was not obeyed; tell whether there was one."""
        with (
            suppress(ContainerGoneError),
            self.engine.runtime_call("withdraw", container) as daemon,
        ):
            box = daemon.find(container)
            box.order, order = "", box.order
            return bool(order)
        return False

    def is_unused(self, container: str, place: Place) -> bool:
        """Ask the fake daemon."""
        with suppress(ContainerGoneError), self.engine.runtime_call("is_unused") as daemon:
            dump = daemon.find(container).dumps.get(_name(place))
            return dump is not None and not dump.used
        return False

    def lost_connections(self, container: str) -> bool:
        """Tell whether it is in `lost`."""
        return container in self.lost

    def take_back(self, container: str, root: str) -> bool:  # noqa: ARG002 - there is no runc
        """Forget an order; tell whether the stand-in was reached."""
        with (
            suppress(ContainerGoneError),
            self.engine.runtime_call("take_back", container) as daemon,
        ):
            box = daemon.find(container)
            box.order = ""
            return box.reached
        return False

    def restore_error(self, place: Place) -> str:
        """Return the container's entry in `restore_errors`."""
        return self.restore_errors.get(place.path.name, "")

    def prune(self, directory: Path, kept: Collection[str]) -> None:  # noqa: ARG002 - no disk
        """Forget all that was kept, but for what has one of these names."""
        self.engine.prune_dumps(kept)

    def delete(self, place: Place) -> None:
        """Forget what was kept."""
        with self.engine.runtime_call("delete_dump", place.path.name) as daemon:
            for box in daemon.boxes.values():
                if box.container.id == place.path.name:
                    box.dumps.pop(_name(place), None)
        self.guarded.discard(place.path.name)


def _name(place: Place) -> str:
    return place.path.parent.name
