"""A ghost: a container that Docker takes for running although its processes are gone."""

import time

from drainer.engine.base import Engine
from drainer.host.base import Host
from drainer.manifest import Entry, State
from drainer.model import Container

PATIENCE = 3.0
"""Seconds within which Docker learns by itself that a process has ended, where it can."""


def look(engine: Engine, host: Host, entry: Entry) -> Container:
    """Inspect the container of an entry that has not ended, and lay a ghost.

    When containerd dies just after a container, its successor removes what is left of that
    (`cleaning up dead shim`) before Docker listens again. Docker then shows it as running for ever,
    and refuses to thaw, update or start it: `NotFound: task ... not found`. A kill makes Docker
    notice (moby daemon/kill.go killWithSignal). Raises as `Engine.inspect` and `Engine.kill` do.
    """
    container = engine.inspect(entry.id)
    if not _is_ghost(host, entry, container):
        return container
    time.sleep(PATIENCE)
    again = engine.inspect(entry.id)
    if again.pid == container.pid and _is_ghost(host, entry, again):
        engine.kill(entry.id)
        again = engine.inspect(entry.id)
    return again


def _is_ghost(host: Host, entry: Entry, container: Container) -> bool:
    """Tell whether it only looks as if it ran: its end was missed, or is still being waited for.

    A `stopped` one was killed while it was frozen. What is still frozen then has a SIGKILL pending.
    """
    if entry.state.ended or entry.state is State.PLANNED:
        return False
    if not container.running or container.restarting:
        return False
    killed = entry.restorable
    same = container.started_at == entry.started_at
    return (killed and same and container.paused) or not host.lives(container)
