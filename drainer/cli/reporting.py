"""The command that reports on the last drain and its resume."""

import platform
from enum import StrEnum
from typing import Annotated

import typer

from drainer.cli import output
from drainer.cli.options import Json
from drainer.cli.wiring import Settings, require_root
from drainer.host.procfs import Proc, parse_boot_moment
from drainer.text import printable


class Format(StrEnum):
    """What `--format` may be."""

    TABLE = "table"
    MARKDOWN = "markdown"
    SVG = "svg"
    METRICS = "metrics"


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command("report")(report_command)


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
    from drainer.report.facts import make_report  # noqa: PLC0415 - no other command needs them
    from drainer.report.metrics import metrics  # noqa: PLC0415
    from drainer.report.timeline import svg  # noqa: PLC0415
    from drainer.report.words import (  # noqa: PLC0415
        COLUMNS,
        document,
        markdown,
        row,
        summary,
    )

    require_root("report")
    settings: Settings = context.obj
    manifest = settings.manifest_file().read()
    booted = parse_boot_moment(Proc().text("stat"))
    report = make_report(manifest, booted, platform.release())
    if as_json:
        output.show_json(report=document(report))
    elif shape is Format.MARKDOWN:
        output.line(markdown(report))
    elif shape is Format.METRICS:
        output.line(metrics(report))
    elif shape is Format.SVG:
        output.line(svg(report))
    else:
        for words in summary(report):
            output.line(printable(words))
        output.line()
        output.show_table(COLUMNS, [row(passage) for passage in report.passages])
