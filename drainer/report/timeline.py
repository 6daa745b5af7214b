"""A report as a picture, in the manner of `systemd-analyze plot`: who was away when. Pure."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, tostring

from drainer.manifest import State
from drainer.report.facts import Passage, Phase, Report
from drainer.report.words import duration
from drainer.text import printable, size

WIDTH = 1000
LEFT, RIGHT = 190, 150
ROW, BAR = 24, 14
HEAD, FOOT = 112, 62
NAME = 26
"""Characters of a name that have room."""
REASON = 80
TICKS = 10
DAY = 86400.0
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)

COLOURS = {
    Phase.DUMP: "#e8890c",
    Phase.DOWN: "#b8c0cc",
    Phase.RESTORE: "#2f8f5b",
    Phase.COLD: "#c92a5b",
}
MEANINGS = {
    Phase.DUMP: "paused, checkpointed",
    Phase.DOWN: "down",
    Phase.RESTORE: "restored",
    Phase.COLD: "started cold",
}
AWAY = {State.DUMPED, State.STOPPED, State.RESTORING, State.GONE}
RUNNING = "#cfe8d8"
INK, PALE, LINE, PAPER = "#1d2630", "#66707c", "#dfe3e8", "#ffffff"
BAND = "#f1f3f6"
BETWEEN = "between drain and resume"
FONT = "font-family:system-ui,'DejaVu Sans',sans-serif;font-size:12px"


@dataclass(frozen=True, slots=True)
class Scale:
    """Moments to places."""

    begin: float
    end: float

    def at(self, moment: float) -> float:
        """Return where a moment is, from the left."""
        part = (moment - self.begin) / max(self.end - self.begin, 0.001)
        return round(LEFT + min(max(part, 0.0), 1.0) * (WIDTH - LEFT - RIGHT), 1)


def svg(report: Report) -> str:
    """Draw a report. What it quotes may be untrusted: it is escaped, and never more than text."""
    scale = _scale(report)
    height = HEAD + ROW * max(len(report.passages), 1) + FOOT
    root = Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height}",
        width=str(WIDTH),
        height=str(height),
        style=FONT,
        role="img",
    )
    SubElement(root, "title").text = f"Drain {printable(report.manifest.drain_id)}"
    _box(root, 0, 0, WIDTH, height, PAPER)
    _head(root, report)
    _host(root, report, scale, height)
    _axis(root, scale, height)
    for number, passage in enumerate(sorted(report.passages, key=_order)):
        _row(root, passage, scale, HEAD + ROW * number)
    _legend(root, height)
    return tostring(root, encoding="unicode")


def _order(passage: Passage) -> tuple[bool, float]:
    """Put what went first first, and what was not touched last."""
    return not passage.spans, passage.spans[0].begin if passage.spans else 0.0


def _scale(report: Report) -> Scale:
    spans = [span for passage in report.passages for span in passage.spans]
    whole = (report.began, report.drained, report.resumed, report.ended)
    moments = [m for m in whole if m is not None]
    moments += [m for span in spans for m in (span.begin, span.end)]
    first, last = min(moments, default=0.0), max(moments, default=0.0)
    room = max(1.0, (last - first) * 0.02)
    return Scale(first - room, last + room)


def _head(root: Element, report: Report) -> None:
    manifest = report.manifest
    carried = sum(p.entry.state is State.RESTORED for p in report.passages)
    across = " across a reboot" if report.booted else ""
    title = f"{carried} of {len(report.passages)} containers carried{across}"
    if waiting := sum(p.entry.state is State.STOPPED for p in report.passages):
        title += f", {waiting} waiting for their resume"
    _text(root, 24, 34, title, size="20px", weight="600")
    kernels = manifest.host.kernel
    if report.kernel and report.kernel != kernels:
        kernels += f" → {report.kernel}"
    facts = [
        f"drain {manifest.drain_id} ({manifest.trigger})",
        f"kernel {kernels}",
        f"Docker {manifest.engine.version}",
        f"CRIU {manifest.host.criu}",
    ]
    _text(root, 24, 54, " · ".join(facts), fill=PALE)
    told = [
        ("away longest", duration(report.worst)),
        ("drain", duration(report.drain_seconds)),
        ("host away" if report.booted else "until the resume", duration(report.between_seconds)),
        ("resume", duration(report.resume_seconds)),
        ("checkpoints", size(report.size) if report.size else "-"),
    ]
    _text(root, 24, 74, " · ".join(f"{name} {value}" for name, value in told if value != "-"))


def _host(root: Element, report: Report, scale: Scale, height: int) -> None:
    """Show what was between drain and resume, and when the kernel started, behind all rows."""
    if report.between_seconds is None or report.drained is None or report.resumed is None:
        return
    left, right = scale.at(report.drained), scale.at(report.resumed)
    _box(root, left, HEAD - 8, right - left, height - HEAD - FOOT + 12, BAND)
    if report.booted is not None:
        at = scale.at(report.booted)
        _line(root, at, HEAD - 8, at, height - FOOT + 4, PALE, dash="3 3")
        _text(root, at + 4, HEAD - 14, "kernel starts", fill=PALE)
    elif right - left > NAME * 4:
        _text(root, (left + right) / 2, HEAD - 14, BETWEEN, fill=PALE, anchor="middle")


def _axis(root: Element, scale: Scale, height: int) -> None:
    whole = scale.end - scale.begin
    step = next((s for s in STEPS if whole / s <= TICKS), math.ceil(whole / TICKS))
    bottom = height - FOOT + 4
    shape = "%d %b %H:%M" if whole > DAY else "%H:%M:%S"
    first = math.ceil(scale.begin / step) * step
    for moment in range(int(first), int(scale.end) + 1, step):
        at = scale.at(moment)
        _line(root, at, HEAD - 8, at, bottom, LINE)
        label = datetime.fromtimestamp(moment, UTC).strftime(shape)
        _text(root, at, bottom + 14, label, fill=PALE, anchor="middle", size="10px")


def _row(root: Element, passage: Passage, scale: Scale, top: float) -> None:
    entry, middle = passage.entry, top + ROW / 2
    group = SubElement(root, "g")
    SubElement(group, "title").text = printable(f"{entry.name}: {entry.state} {entry.detail}", 400)
    _text(group, LEFT - 12, middle + 4, printable(entry.name, NAME), anchor="end")
    left, right = scale.at(scale.begin), scale.at(scale.end)
    bar = top + (ROW - BAR) / 2
    if not passage.spans:
        word = entry.skip_reason or entry.detail or str(entry.state)
        _text(group, left + 6, middle + 4, printable(f"{entry.state}: {word}", REASON), fill=PALE)
        return
    _box(group, left, bar, scale.at(passage.spans[0].begin) - left, BAR, RUNNING)
    for span in passage.spans:
        wide = max(scale.at(span.end) - scale.at(span.begin), 1.5)
        _box(group, scale.at(span.begin), bar, wide, BAR, COLOURS[span.phase])
    # One that was given back runs on, and one that waits is still down.
    end = scale.at(passage.spans[-1].end)
    rest = COLOURS[Phase.DOWN] if entry.state in AWAY else RUNNING
    _box(group, end, bar, right - end, BAR, rest)
    note = f"away {duration(passage.away)}" if passage.away is not None else str(entry.state)
    _text(group, right + 10, middle + 4, note, fill=PALE)


def _legend(root: Element, height: int) -> None:
    at = float(LEFT)
    for colour, words in (
        (RUNNING, "running"),
        *((COLOURS[phase], MEANINGS[phase]) for phase in Phase),
        (BAND, BETWEEN),
    ):
        _box(root, at, height - 30, 12, 12, colour)
        _text(root, at + 18, height - 20, words, fill=PALE)
        at += 34 + 6.6 * len(words)


def _box(parent: Element, x: float, y: float, wide: float, high: float, fill: str) -> None:
    place = {"x": x, "y": y, "width": max(wide, 0), "height": high}
    SubElement(parent, "rect", {k: f"{v:g}" for k, v in place.items()}, fill=fill)


def _line(
    parent: Element, x1: float, y1: float, x2: float, y2: float, stroke: str, dash: str = ""
) -> None:
    place = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    dashes = {"stroke-dasharray": dash} if dash else {}
    SubElement(parent, "line", {k: f"{v:g}" for k, v in place.items()}, stroke=stroke, **dashes)


def _text(
    parent: Element,
    x: float,
    y: float,
    words: str,
    *,
    fill: str = INK,
    anchor: str = "start",
    size: str = "",
    weight: str = "",
) -> None:
    style = {"font-size": size, "font-weight": weight}
    attributes = {"x": f"{x:g}", "y": f"{y:g}", "fill": fill, "text-anchor": anchor}
    SubElement(
        parent, "text", attributes | {name: value for name, value in style.items() if value}
    ).text = printable(words)
