"""The commands and their options.

What a command needs to do its work is imported as it runs, so that help and refusals are there at
once and no command waits for another one's modules.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drainer import __version__
from drainer.cli.options import (
    Budget,
    Common,
    ContainerTimeout,
    DumpFallback,
    Format,
    GiveUp,
    Json,
    OnDumpFailure,
    OnRestoreFailure,
    Parallel,
    RestoreFallback,
    RouteChoice,
)

if TYPE_CHECKING:
    from drainer.cli.wiring import Settings

app = typer.Typer(
    name="drainer",
    help="Carry running Docker containers across a host reboot.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer passes it so
    if wanted:
        typer.echo(f"drainer {__version__}")
        raise typer.Exit


@app.callback()
def common(
    *,
    context: typer.Context,
    state_dir: Annotated[
        Path, typer.Option(help="Where the manifest is kept.", envvar="DRAINER_STATE_DIR")
    ] = Path("/var/lib/drainer"),
    docker_host: Annotated[
        str, typer.Option(help="Socket of the Docker daemon.")
    ] = "unix:///run/docker.sock",
    route: Annotated[
        RouteChoice,
        typer.Option(
            help="How a drain makes checkpoints; auto: as suits each container.",
            envvar="DRAINER_ROUTE",
        ),
    ] = RouteChoice.AUTO,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            is_eager=True,
            callback=_show_version,
        ),
    ] = False,
) -> None:
    """Take the options that every command shares."""
    del version
    context.obj = Common(state_dir, docker_host, route)


def _settings(context: typer.Context, route: RouteChoice | None = None) -> "Settings":
    from drainer.cli.wiring import Settings, routes

    given: Common = context.obj
    return Settings(given.state_dir, given.docker_host, routes(route or given.route))


@app.command("plan")
def plan_command(
    *,
    context: typer.Context,
    explain: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Show every rule, and its answer for one container."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a drain would do now; touches nothing."""
    from drainer.cli import planning

    planning.run(_settings(context), explain, as_json=as_json)


@app.command("drain")
def drain_command(
    *,
    context: typer.Context,
    parallel: Parallel = 0,
    budget: Budget = None,
    container_timeout: ContainerTimeout = 300.0,
    on_dump_failure: OnDumpFailure = DumpFallback.LEAVE,
    at_shutdown: Annotated[
        bool,
        typer.Option(help="Do nothing unless the host is really going down; for the unit."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Checkpoint what is eligible and take it down."""
    from drainer.cli import draining

    draining.run(
        _settings(context),
        parallel,
        budget,
        container_timeout,
        on_dump_failure,
        at_shutdown=at_shutdown,
        as_json=as_json,
    )


@app.command("resume")
def resume_command(
    *,
    context: typer.Context,
    parallel: Parallel = 0,
    budget: Budget = None,
    container_timeout: ContainerTimeout = 300.0,
    on_restore_failure: OnRestoreFailure = RestoreFallback.COLD,
    give_up: GiveUp = False,
    at_boot: Annotated[bool, typer.Option(help="Wait until Docker answers; for the unit.")] = False,
    as_json: Json = False,
) -> None:
    """Bring back what the last drain took down."""
    from drainer.cli import resuming

    resuming.run(
        _settings(context),
        parallel,
        budget,
        container_timeout,
        on_restore_failure,
        give_up=give_up,
        at_boot=at_boot,
        as_json=as_json,
    )


@app.command("status")
def status_command(*, context: typer.Context, as_json: Json = False) -> None:
    """Show the manifest beside what Docker says now."""
    from drainer.cli import comparing

    comparing.run(_settings(context), as_json=as_json)


@app.command("doctor")
def doctor_command(
    *,
    context: typer.Context,
    live: Annotated[
        bool,
        typer.Option("--live", help="Carry a throw-away container by each route that can."),
    ] = False,
    route: Annotated[
        RouteChoice | None, typer.Option(help="As before the command: only this route.")
    ] = None,
    budget: Annotated[
        float, typer.Option(min=1, help="Seconds for all trials; after them nothing is begun.")
    ] = 120.0,
    as_json: Json = False,
) -> None:
    """Show what this host can do and why not; touches nothing without --live."""
    from drainer.cli import doctoring

    doctoring.run(_settings(context, route), budget, live=live, as_json=as_json)


@app.command("install")
def install_command(
    *,
    enable: Annotated[
        bool, typer.Option("--enable", help="Take part in every reboot from now on.")
    ] = False,
    experimental: Annotated[
        bool,
        typer.Option(
            "--experimental",
            help="Also set Docker's experimental mode in /etc/docker/daemon.json (backup kept).",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Put the systemd units in place."""
    from drainer.cli import installing

    installing.put_in_place(enable=enable, experimental=experimental, as_json=as_json)


@app.command("uninstall")
def uninstall_command(
    *,
    context: typer.Context,
    force: Annotated[
        bool, typer.Option("--force", help="Even if containers wait to be brought back.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove the systemd units. The state directory and Docker's settings are kept."""
    from drainer.cli import installing

    installing.take_away(_settings(context), force=force, as_json=as_json)


@app.command("report")
def report_command(
    *,
    context: typer.Context,
    shape: Annotated[
        Format,
        typer.Option("--format", help="A table, Markdown for a ticket, a picture, metrics."),
    ] = Format.TABLE,
    as_json: Json = False,
) -> None:
    """Tell what the last drain and its resume made of each container, and how long it took."""
    from drainer.cli import reporting

    reporting.run(_settings(context), shape, as_json=as_json)
