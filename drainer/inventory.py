"""Read what a plan is made from: the host, Docker, its running containers, their processes."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread

from drainer.engine.base import Engine
from drainer.host.base import Host
from drainer.model import Container, EngineFacts, HostFacts, ProcessFacts


@dataclass(frozen=True, slots=True)
class Inventory:
    """All facts of one moment."""

    host: HostFacts
    engine: EngineFacts
    containers: tuple[Container, ...]
    processes: Mapping[str, ProcessFacts]
    """By container id."""


def take_inventory(engine: Engine, host: Host) -> Inventory:
    """Look at everything, touch nothing. Raises `EngineError` when Docker cannot be asked."""
    facts, about_host = ask_both(engine, host)
    containers = engine.running()
    return Inventory(
        about_host,
        facts,
        containers,
        {c.id: host.processes(c) for c in containers if c.pid},
    )


def ask_both(engine: Engine, host: Host) -> tuple[EngineFacts, HostFacts]:
    """Ask Docker and the host's programs at once: each has to be waited for.

    Raises `EngineError` as soon as Docker cannot be asked: a CRIU that hangs keeps nobody from it.
    """
    about_host: Future[HostFacts] = Future()

    def ask() -> None:
        try:
            about_host.set_result(host.facts())
        except BaseException as error:  # noqa: BLE001 - whoever waits for the answer has to know
            about_host.set_exception(error)

    # No end of drainer waits for this one, as it would for a pool's.
    Thread(target=ask, name="host", daemon=True).start()
    return engine.facts(), about_host.result()
