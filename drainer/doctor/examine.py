"""Gather what the checks look at. Touches nothing."""

import os
from pathlib import Path

from drainer.config.load import ConfigMistakesError, load
from drainer.doctor.facts import Configuration, Facts, LastDrain, Pending, Space, Surroundings
from drainer.engine.base import Engine
from drainer.errors import ConfigInvalidError, DrainerError
from drainer.host import containerd
from drainer.host.base import Host
from drainer.host.disks import examined, free_bytes
from drainer.host.procfs import PROC, Proc
from drainer.host.run import Runner, run
from drainer.install import UNIT_DIRECTORY, unit_states
from drainer.manifest import Manifest
from drainer.runtime import stand_in
from drainer.store.files import StateDirectory
from drainer.store.manifest_file import ManifestFile
from drainer.text import printable

_WHOLE_RANGE = ["0", "0", "4294967295"]
"""/proc/PID/uid_map in the initial user namespace (user_namespaces(7))."""


def take_facts(engine: Engine, host: Host, surroundings: Surroundings) -> Facts:
    """Ask host and Docker. Never raises a `DrainerError`: that Docker is silent is a fact, too."""
    try:
        found = engine.facts()
    except DrainerError as error:
        problem, hint = printable(error.message), error.hint
        return Facts(host.facts(), surroundings, engine_problem=problem, engine_hint=hint)
    return Facts(host.facts(), surroundings, found)


def look_around(
    state: Path,
    proc: Path = PROC,
    units: Path = UNIT_DIRECTORY,
    orders: Path = stand_in.ORDERS,
    runner: Runner = run,
) -> Surroundings:
    """Look at the rest of the host. Never raises; nothing is created."""
    view = Proc(proc)
    sight = containerd.sight(view)
    inside = containerd.inside(view, sight.pid, sight.temporary)
    present = next(path for path in (state, *state.parents) if path.exists())
    return Surroundings(
        initial_user_namespace=view.text("self", "uid_map").split() == _WHOLE_RANGE,
        copies=_space(view, sight.pid, inside, sight.temporary),
        state=_space(view, os.getpid(), present, str(present)),
        last_drain=_last_drain(state),
        units=unit_states(units, runner),
        configuration=_configuration(),
        left_over=stand_in.left(containerd.search_path(view), orders),
    )


def _space(proc: Proc, pid: int, path: Path, shown: str) -> Space:
    try:
        _, kind, system = examined(proc, pid, path)
    except OSError:
        return Space(shown)
    return Space(shown, kind, free_bytes(system, kind))


def _configuration() -> Configuration:
    try:
        return Configuration(load().files)
    except ConfigMistakesError as error:
        return Configuration(problems=tuple(map(str, error.problems)))
    except ConfigInvalidError as error:
        return Configuration(problems=(printable(error.message),))


def _last_drain(state: Path) -> LastDrain:
    try:
        manifest = _read(state)
    except DrainerError as error:
        return LastDrain(Pending.UNREADABLE, problem=error.message, hint=error.hint)
    if manifest is None:
        return LastDrain()
    down = sum(not entry.state.ended for entry in manifest.entries)
    pending = Pending.WAITING if manifest.pending else Pending.FINISHED
    return LastDrain(pending, manifest.drain_id, down)


def _read(state: Path) -> Manifest | None:
    if not state.exists():
        return None
    directory = StateDirectory(state)
    try:
        file = ManifestFile(directory)
        return file.read() if file.exists else None
    finally:
        directory.close()
