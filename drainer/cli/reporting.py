"""What `drainer report` does."""

import platform

from drainer.cli import manifest_output, output
from drainer.cli.options import Format
from drainer.cli.past import find
from drainer.cli.wiring import Settings
from drainer.host.procfs import Proc, parse_boot_moment
from drainer.report.facts import make_report
from drainer.report.metrics import metrics
from drainer.report.timeline import svg
from drainer.report.words import COLUMNS, document, markdown, row, summary
from drainer.store import failed_drain
from drainer.text import printable


def run(settings: Settings, shape: Format, drain_id: str | None, *, as_json: bool) -> None:
    """Tell what a drain and its resume made of each container; the last one for no id."""
    file = settings.manifest_file()
    failed = None if drain_id else failed_drain.read(file.directory)
    if not as_json and shape in {Format.TABLE, Format.MARKDOWN}:
        manifest_output.show_failed_drain(failed, earlier=file.exists)
    manifest = find(settings, drain_id)
    booted = parse_boot_moment(Proc().text("stat"))
    report = make_report(manifest, booted, platform.release())
    if as_json:
        output.show_json(
            report=document(report), failed_drain=manifest_output.failed_drain_json(failed)
        )
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
