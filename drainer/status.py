"""What the manifest says and what Docker says, side by side."""

from dataclasses import dataclass

from drainer.engine.base import Engine
from drainer.errors import ContainerGoneError, EngineError
from drainer.manifest import Entry, Manifest
from drainer.model import Container


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One container of the manifest beside Docker's view of it."""

    entry: Entry
    docker: str
    """`running`, `paused`, `restarting`, `exited`, `removed`, or `unknown`."""
    policy_held: bool
    """Whether the restart policy is still `no` though its owner chose another."""


def docker_state(container: Container) -> str:
    """Name a container's state with Docker's words."""
    if container.paused:
        return "paused"
    if container.restarting:
        return "restarting"
    return "running" if container.running else "exited"


def compare(manifest: Manifest, engine: Engine) -> tuple[StatusRow, ...]:
    """Look each container of the manifest up in Docker."""
    rows = []
    for entry in manifest.entries:
        try:
            container = engine.inspect(entry.id)
        except ContainerGoneError:
            rows.append(StatusRow(entry, "removed", policy_held=False))
        except EngineError:
            rows.append(StatusRow(entry, "unknown", policy_held=False))
        else:
            held = container.restart_policy.held and not entry.restart_policy.held
            rows.append(StatusRow(entry, docker_state(container), held))
    return tuple(rows)
