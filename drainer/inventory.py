"""Read what a plan is made from: the host, Docker, its running containers, their processes."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

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

    Raises `EngineError` when Docker cannot be asked.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="host") as pool:
        asked = pool.submit(host.facts)
        return engine.facts(), asked.result()
