"""What `drainer reboot` and `drainer abort` do."""

import sys
import time

import typer

from drainer.cli import draining, manifest_output, options, output, plan_output, resuming
from drainer.cli.planning import plan_now, refuse_if_incapable
from drainer.cli.wiring import Settings
from drainer.errors import ConfigInvalidError, EngineError, ExitCode, UsageError
from drainer.host import power
from drainer.host.run import run as run_program
from drainer.store import request_file
from drainer.store.manifest_file import ManifestFile
from drainer.store.request_file import Request
from drainer.units import DRAIN_UNIT, UNITS


def reboot(
    settings: Settings, at: str, reason: str, *, kexec: bool, yes: bool, force: bool
) -> None:
    """Show the plan, ask, drain and reboot, or have the shutdown drain at a time."""
    if at:
        power.check_time(at)
    if kexec:
        power.check_kexec()
    _require_units(settings, active=bool(at))
    plan = plan_now(settings)
    refuse_if_incapable(plan)
    plan_output.show_plan(plan)
    output.line()
    when = f"at {at}" if at else "now"
    if not yes and not _agreed(f"Reboot {when}?"):
        output.line("Nothing was done.")
        return
    time_of = power.moment(at, time.time()) if at else 0.0
    request = Request(reason[: request_file.LENGTH], power.who(), time_of)
    request_file.write(request)
    try:
        if at:
            power.schedule(run_program, at, reason or "reboot")
            output.line("The reboot is scheduled; `drainer abort` cancels it.")
        else:
            _drain_and_reboot(settings, request, kexec=kexec, force=force)
    except BaseException:
        request_file.forget()
        raise


def _drain_and_reboot(settings: Settings, request: Request, *, kexec: bool, force: bool) -> None:
    manifest, code = draining.now(settings, request)
    manifest_output.show_outcome(manifest, as_json=False)
    ended = code in {ExitCode.INTERRUPTED, ExitCode.TERMINATED}
    if ended or (code is not ExitCode.OK and not force):
        output.say("not rebooting, as not everything was carried that could be")
        output.say(
            "`drainer abort` brings everything back; `systemctl reboot` reboots nevertheless"
        )
        raise typer.Exit(code)
    try:
        power.reboot(run_program, kexec=kexec)
    except EngineError as error:
        hint = "the containers are drained: `drainer abort` brings them back"
        raise EngineError(error.message, hint) from error
    output.line("The host reboots.")


def abort(settings: Settings, *, as_json: bool) -> None:
    """Cancel a reboot that was scheduled, and bring back what is drained."""
    if request_file.exists():
        _cancel()
    file = ManifestFile(settings.state())
    pending = file.exists and file.read().pending
    if pending or as_json:
        resuming.run(
            settings, None, None, None, None, give_up=False, at_boot=False, as_json=as_json
        )
    else:
        output.say("nothing is drained")


def _cancel() -> None:
    """Take a reboot back that drainer has scheduled, and none that somebody else has."""
    at, scheduled = request_file.time_of(), power.scheduled()
    request_file.forget()
    if not at:
        return
    if scheduled is not None and abs(scheduled - at) > request_file.EARLY:
        output.say("another shutdown is scheduled, not by drainer: `shutdown -c` cancels it")
        return
    try:
        power.cancel(run_program)
    except EngineError as error:
        output.say(f"the scheduled reboot was not cancelled: {error.message}")
    else:
        output.say("no reboot is scheduled any more")


def _require_units(settings: Settings, *, active: bool) -> None:
    """Refuse a reboot after which nothing would bring the containers back.

    With `active` also one that the drain unit would take no part in.
    """
    if settings.state_dir.absolute() != options.STATE_DIR:
        raise ConfigInvalidError(
            f"the units look for a drain in {options.STATE_DIR} only: this one would stay down",
            "reboot without --state-dir, or `drainer drain` and `systemctl reboot` by hand",
        )
    for unit in settings.surroundings().units:
        if unit.name not in UNITS:
            continue
        if not unit.enabled:
            raise ConfigInvalidError(
                f"{unit.name} is not enabled: what is drained would stay down after the reboot",
                "run `drainer install --enable`",
            )
        if active and unit.name == DRAIN_UNIT and not unit.active:
            raise ConfigInvalidError(
                f"{unit.name} is not active: that shutdown would drain nothing",
                "run `drainer install --enable`",
            )


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked here", "give --yes")
    return typer.confirm(question)
