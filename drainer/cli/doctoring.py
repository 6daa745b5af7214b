"""What `drainer doctor` does."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from shutil import rmtree

import typer

from drainer.carriers.base import Carriers
from drainer.cli import doctor_output, output
from drainer.cli.draining import carry_out
from drainer.cli.resuming import bring_back
from drainer.cli.wiring import (
    Settings,
    interrupted_code,
    interruptible,
    remove_placeholders,
)
from drainer.deadline import Deadline
from drainer.doctor import rootfs
from drainer.doctor.checks import Diagnosis, diagnose
from drainer.doctor.examine import take_facts
from drainer.doctor.facts import Facts
from drainer.doctor.record import remember
from drainer.doctor.trial import Acts, Trial, clean_up, try_route
from drainer.drain_options import DrainOptions
from drainer.errors import DrainerError, ExitCode
from drainer.manifest import Manifest
from drainer.model import EngineFacts, Plan
from drainer.resume_options import ResumeOptions
from drainer.runtime.base import Runtime
from drainer.store.files import StateDirectory
from drainer.store.lock import lock
from drainer.store.manifest_file import ManifestFile, Record
from drainer.takedown import LEAST_SECONDS

TRIAL_DIRECTORY = "doctor"
"""Below the state directory: the state directory of a trial, gone after it."""


def run(settings: Settings, budget: float, *, live: bool, as_json: bool) -> None:
    """Show what this host can do, and prove it if asked to."""
    facts = take_facts(settings.engine(), settings.host(), settings.surroundings())
    diagnosis = diagnose(facts, settings.routes)
    if not live or not diagnosis.can_carry or facts.engine is None:
        doctor_output.show(diagnosis, None, (), as_json=as_json)
        code = ExitCode.OK if diagnosis.can_carry else ExitCode.HOST_INCAPABLE
        raise typer.Exit(code or _mistaken(facts))
    deadline = Deadline(budget)
    state = settings.state()
    with lock(state, "doctor"), interruptible(deadline, "doctor --live"):
        trials, left_behind = _try_all(settings, diagnosis, facts.engine, deadline)
        if not deadline.interrupted:
            remember(state, trials, diagnosis.facts.host, facts.engine)
    doctor_output.show(diagnosis, trials, left_behind, as_json=as_json)
    raise typer.Exit(_code(trials, deadline) or _mistaken(facts))


def _mistaken(facts: Facts) -> ExitCode:
    """Return the exit code of a host that could, if its settings could be used."""
    problems = facts.surroundings.configuration.problems
    return ExitCode.CONFIG_INVALID if problems else ExitCode.OK


def _code(trials: tuple[Trial, ...], deadline: Deadline) -> ExitCode:
    restored = sum(trial.restored for trial in trials)
    if restored == len(trials):
        return ExitCode.OK
    if deadline.interrupted:
        return interrupted_code(deadline)
    if deadline.limit(LEAST_SECONDS) < LEAST_SECONDS:
        return ExitCode.DEADLINE
    return ExitCode.PARTIAL if restored else ExitCode.NOTHING_CARRIED


def _try_all(
    settings: Settings, diagnosis: Diagnosis, engine_facts: EngineFacts, deadline: Deadline
) -> tuple[tuple[Trial, ...], tuple[str, ...]]:
    """Try every route that can carry something; return how they did and what could not be removed.

    What a killed doctor has left is removed first.
    """
    archive = rootfs.archive()
    inside = replace(settings, state_dir=settings.state_dir.absolute() / TRIAL_DIRECTORY)
    engine, host = inside.engine(), inside.host()
    facts = diagnosis.facts.host, engine_facts
    runtime = inside.runtime(facts[0])
    carriers = inside.carriers(engine, host, runtime, engine_facts, deadline)
    trials: list[Trial] = []
    left_behind: list[str] = []
    runtime.sweep()
    left_behind += _clean(inside, runtime, carriers)
    for report in (r for r in diagnosis.routes if r.works):
        network = report.carried[0]
        if left_behind:
            trials.append(
                Trial(report.route, network, False, "what is left of a trial is in the way")
            )
            continue
        output.say(f"trying the {report.route} route with network mode {network}")
        try:
            with _acts(inside) as acts:
                trials.append(
                    try_route(report.route, network, archive, engine, host, facts, acts, deadline)
                )
        finally:
            left_behind += _clean(inside, runtime, carriers)
            runtime.sweep()
    return tuple(trials), tuple(left_behind)


@contextmanager
def _acts(inside: Settings) -> Iterator[Acts]:
    """Drain and resume as the commands do, in the state directory of the trial."""
    directory = StateDirectory(inside.state_dir)
    file = ManifestFile(directory)

    def drain(plan: Plan, deadline: Deadline) -> Manifest:
        return carry_out(inside, plan, file, deadline, DrainOptions())

    def resume(manifest: Manifest, deadline: Deadline) -> Manifest:
        return bring_back(inside, Record(file, manifest), deadline, ResumeOptions())

    try:
        yield Acts(drain, resume)
    finally:
        directory.close()


def _clean(inside: Settings, runtime: Runtime, carriers: Carriers) -> tuple[str, ...]:
    """Remove whatever a trial has left; the record of it goes last."""
    remove_placeholders(inside.engine(), lambda: runtime)
    problems = clean_up(inside.engine(), carriers, _manifest(inside.state_dir))
    if not problems:
        rmtree(inside.state_dir, ignore_errors=True)
    for problem in problems:
        output.say(f"not removed, `drainer doctor --live` will try again: {problem}")
    return problems


def _manifest(path: Path) -> Manifest | None:
    """Read the record of the last trial, if it is there and can be read."""
    if not path.exists():
        return None
    with suppress(DrainerError):
        directory = StateDirectory(path)
        try:
            return ManifestFile(directory).read()
        finally:
            directory.close()
    return None
