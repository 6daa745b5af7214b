"""Whether a host, and the Docker on it, is still the one that a manifest was made on."""

from collections.abc import Mapping
from contextlib import suppress

from drainer.engine.base import Engine
from drainer.errors import ContainerGoneError, HostIncompatibleError
from drainer.manifest import Manifest
from drainer.model import EngineFacts, HostFacts, Route
from drainer.rules import refusals


def host_obstacle(then: HostFacts, now: HostFacts, engine: EngineFacts, route: Route) -> str:
    """Say why this host can restore nothing of that drain on a route; empty if it can. Pure."""
    for what, old, new in (
        ("architecture", then.architecture, now.architecture),
        ("cgroup version", str(then.cgroup_version), str(now.cgroup_version)),
    ):
        if old != new:
            return f"the host's {what} was {old} at the drain and is {new}"
    lost = [name for name in then.cpu_features if name not in now.cpu_features]
    if lost and now.cpu_features:
        # A program has asked once what there is, and would end with an illegal instruction.
        return f"the CPU has lost instructions that programs may use: {', '.join(lost)}"
    problems = refusals(now, engine, route)
    return problems[0].sentence if problems else ""


def host_obstacles(manifest: Manifest, now: HostFacts, engine: EngineFacts) -> Mapping[Route, str]:
    """Say of each route on which something waits why nothing can be restored; none if it can."""
    waiting = {entry.route for entry in manifest.entries if not entry.state.ended}
    found = {route: host_obstacle(manifest.host, now, engine, route) for route in waiting}
    return {route: why for route, why in found.items() if why}


def require_same_engine(manifest: Manifest, engine: Engine, now: EngineFacts) -> None:
    """Raise `HostIncompatibleError` when the containers that wait are another Docker's.

    Docker shows only what is in its data directory and was made with its storage driver (moby
    daemon/daemon.go loadContainers). If that disk is not mounted, no container is there, and none
    was removed. One that is there proves that it is the same Docker, whatever it calls itself.
    """
    then = manifest.engine
    waiting = [entry.id for entry in manifest.entries if not entry.state.ended]
    same_data = (then.root_dir, then.storage) == (now.root_dir, now.storage)
    ids = {then.daemon_id, now.daemon_id}
    if not waiting or (same_data and (len(ids) == 1 or "" in ids)):
        return
    for container in waiting:
        with suppress(ContainerGoneError):
            engine.inspect(container)
            return
    raise HostIncompatibleError(
        f"Docker has none of the {len(waiting)} containers that wait for a resume, and is not the"
        f" one that had them: its data was in {then.root_dir} ({then.storage}), and is in"
        f" {now.root_dir} ({now.storage})",
        "if the disk with Docker's data is not mounted, mount it, restart Docker and run `drainer"
        " resume`; if those containers are gone for good, delete the manifest",
    )
