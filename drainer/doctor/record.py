"""What the last trials have shown, for the plans that follow."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from drainer.errors import DrainerError
from drainer.model import EngineFacts, HostFacts
from drainer.store.files import StateDirectory

if TYPE_CHECKING:
    # Every plan reads the record, and needs nothing else of the doctor.
    from drainer.doctor.trial import Trial

NAME = "trials.json"
"""In the state directory."""

_LIMIT = 1 << 16


def _versions(host: HostFacts, engine: EngineFacts) -> list[str]:
    """Return what a trial depends on: with another one of these it says nothing any more."""
    programs = (engine.version, engine.containerd, engine.runc, host.criu, host.criu_package)
    return [host.kernel, *programs, str(engine.experimental)]


def remember(
    directory: StateDirectory, trials: "Iterable[Trial]", host: HostFacts, engine: EngineFacts
) -> None:
    """Note, durably, which routes were tried to their end and failed."""
    failed = [str(t.route) for t in trials if not t.restored and t.dump_seconds is not None]
    content = {"versions": _versions(host, engine), "failed": failed}
    directory.write(NAME, json.dumps(content).encode())


def failed_trials(
    directory: StateDirectory, host: HostFacts, engine: EngineFacts
) -> tuple[str, ...]:
    """Return the routes that failed with these very versions. Never raises."""
    try:
        content = json.loads(directory.read(NAME, _LIMIT))
        if content["versions"] == _versions(host, engine):
            return tuple(map(str, content["failed"]))
    except (DrainerError, OSError, ValueError, KeyError, TypeError):
        return ()
    return ()
