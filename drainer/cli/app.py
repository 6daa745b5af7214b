"""The commands and their options.

What a command needs to do its work is imported as it runs, so that help and refusals are there at
once and no command waits for another one's modules.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from drainer import __version__
from drainer.cli.options import (
    Budget,
    Common,
    ContainerTimeout,
    Format,
    GiveUp,
    Json,
    OnDumpFailure,
    OnRestoreFailure,
    Parallel,
    Reason,
)
from drainer.config.choices import DumpFallback, RestoreFallback, RouteChoice

if TYPE_CHECKING:
    from drainer.cli.wiring import Settings

T = TypeVar("T")

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
    context.obj = Common(state_dir, docker_host, _given(context, "route", route))


def _given(context: typer.Context, name: str, value: T) -> T | None:
    """Return the value of an option that somebody gave; None if it is only the default."""
    source = context.get_parameter_source(name)
    return None if source is None or source.name == "DEFAULT" else value


def _settings(
    context: typer.Context, route: RouteChoice | None = None, *, lenient: bool = False
) -> "Settings":
    from drainer.cli.wiring import make_settings

    return make_settings(context.info_name or "", context.obj, route, lenient=lenient)


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
    reason: Reason = "",
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
        _given(context, "parallel", parallel),
        budget,
        _given(context, "container_timeout", container_timeout),
        _given(context, "on_dump_failure", on_dump_failure),
        reason=reason,
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
        _settings(context, lenient=True),
        _given(context, "parallel", parallel),
        budget,
        _given(context, "container_timeout", container_timeout),
        _given(context, "on_restore_failure", on_restore_failure),
        give_up=give_up,
        at_boot=at_boot,
        as_json=as_json,
    )


@app.command("reboot")
def reboot_command(
    *,
    context: typer.Context,
    at: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="Not now but at a time of day, or in some minutes: 23:30, +15."
        ),
    ] = "",
    reason: Reason = "",
    kexec: Annotated[
        bool, typer.Option("--kexec", help="Start the kernel that `kexec -l` has loaded.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also if not everything was carried that could be.")
    ] = False,
) -> None:
    """Show the plan, drain and reboot."""
    from drainer.cli import rebooting

    if at and kexec:
        raise typer.BadParameter("--at and --kexec do not go together")
    rebooting.reboot(_settings(context), at, reason, kexec=kexec, yes=yes, force=force)


@app.command("abort")
def abort_command(*, context: typer.Context, as_json: Json = False) -> None:
    """Take a drain, or a scheduled reboot, back."""
    from drainer.cli import rebooting

    rebooting.abort(_settings(context, lenient=True), as_json=as_json)


@app.command("status")
def status_command(*, context: typer.Context, as_json: Json = False) -> None:
    """Show the manifest beside what Docker says now."""
    from drainer.cli import comparing

    comparing.run(_settings(context, lenient=True), as_json=as_json)


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
    """Show what this host can do, and why not."""
    from drainer.cli import doctoring

    doctoring.run(_settings(context, route, lenient=True), budget, live=live, as_json=as_json)


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
    """Remove the systemd units; state and Docker's settings stay."""
    from drainer.cli import installing

    installing.take_away(_settings(context, lenient=True), force=force, as_json=as_json)


@app.command("report")
def report_command(
    *,
    context: typer.Context,
    shape: Annotated[
        Format,
        typer.Option("--format", help="A table, Markdown for a ticket, a picture, metrics."),
    ] = Format.TABLE,
    drain_id: Annotated[
        str | None,
        typer.Option(
            "--drain", metavar="DRAIN", help="An earlier drain, by its id or how that begins."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell what became of each container, and how long it took."""
    from drainer.cli import reporting

    reporting.run(_settings(context, lenient=True), shape, drain_id, as_json=as_json)


@app.command("list")
def list_command(*, context: typer.Context, as_json: Json = False) -> None:
    """List the drains that are kept, the newest first."""
    from drainer.cli import past

    past.show_all(_settings(context, lenient=True), as_json=as_json)


@app.command("show")
def show_command(
    *,
    context: typer.Context,
    drain_id: Annotated[
        str | None,
        typer.Argument(
            metavar="[DRAIN]", help="Its id, or how that begins; the last one if left out."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a drain, and where its failed checkpoints are."""
    from drainer.cli import past

    past.show(_settings(context, lenient=True), drain_id, as_json=as_json)


@app.command("discard")
def discard_command(
    *,
    context: typer.Context,
    drain_ids: Annotated[
        list[str], typer.Argument(metavar="DRAIN...", help="Their ids, or how these begin.")
    ],
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="Only the checkpoints; keep the manifests.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Delete what is kept of past drains."""
    from drainer.cli import past

    past.discard(
        _settings(context, lenient=True),
        drain_ids,
        only_checkpoints=checkpoints,
        as_json=as_json,
    )


config = typer.Typer(
    help="Show, check and explain the settings in /etc/drainer.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(config, name="config")


@config.command("show")
def config_show_command(*, as_json: Json = False) -> None:
    """Show every setting that holds, and where it is said."""
    from drainer.cli import configuring

    configuring.show(as_json=as_json)


@config.command("validate")
def config_validate_command(*, as_json: Json = False) -> None:
    """Check all files, and show every mistake with its line."""
    from drainer.cli import configuring

    configuring.validate(as_json=as_json)


@config.command("generate")
def config_generate_command() -> None:
    """Print a file with every setting explained, to begin with."""
    from drainer.cli import configuring

    configuring.generate()


@config.command("schema")
def config_schema_command() -> None:
    """Print the JSON Schema of a file, for editors."""
    from drainer.cli import configuring

    configuring.print_schema()
