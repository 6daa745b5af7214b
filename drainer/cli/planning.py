"""What `drainer plan` does."""

from contextlib import suppress
from dataclasses import replace

import typer

from drainer.cli import output, plan_output
from drainer.cli.explaining import show_explanation
from drainer.cli.wiring import Settings
from drainer.connections import keep_any
from drainer.doctor.record import failed_trials
from drainer.errors import DrainerError, ExitCode, HostIncapableError
from drainer.inventory import Inventory, take_inventory
from drainer.model import Plan
from drainer.plan import make_plan
from drainer.selection import wishes


def run(settings: Settings, explain: str | None, *, as_json: bool) -> None:
    """Show what a drain would do now, or why it would do that with one container."""
    plan = plan_now(settings)
    if explain is not None:
        show_explanation(plan, explain, as_json=as_json)
    elif as_json:
        output.show_json(**plan_output.plan_json(plan))
    else:
        plan_output.show_plan(plan)
        refuse_if_incapable(plan)
    raise typer.Exit(ExitCode.HOST_INCAPABLE if plan.refusals else ExitCode.OK)


def plan_now(settings: Settings) -> Plan:
    """Look at the host and its containers, and decide."""
    found = take_inventory(settings.engine(), settings.host())
    host = replace(found.host, failed_trials=_failed_trials(settings, found))
    places = settings.host().places(found.engine, str(settings.state_dir.absolute()))
    wished = wishes(settings.loaded, found.containers)
    return make_plan(
        host,
        found.engine,
        found.containers,
        found.processes,
        settings.routes,
        places,
        wished,
        settings.host().own_addresses(),
        # On a busy router that is much, and few ask for it.
        settings.host().tracked() if keep_any(found.containers, wished) else (),
    )


def _failed_trials(settings: Settings, found: Inventory) -> tuple[str, ...]:
    """Ask what the last trials have shown, where there is a state directory to ask."""
    if not settings.state_dir.is_dir():
        return ()
    with suppress(DrainerError):
        return failed_trials(settings.state(), found.host, found.engine)
    return ()


def refuse_if_incapable(plan: Plan) -> None:
    """Raise `HostIncapableError` if nothing can be carried at all."""
    if plan.refusals:
        first = plan.refusals[0]
        message = f"nothing can be carried on this host: {first.sentence}"
        raise HostIncapableError(message, first.advice)
