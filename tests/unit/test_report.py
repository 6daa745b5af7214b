"""What a drain and its resume made of each container, in numbers, words and a picture."""

import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from drainer.engine.fake import FACTS as ENGINE
from drainer.errors import EngineError, ExitCode
from drainer.host.fake import FACTS as HOST
from drainer.host.procfs import parse_boot_moment
from drainer.manifest import CheckpointState, Entry, Manifest, State
from drainer.model import RestartPolicy
from drainer.report.facts import Phase, Report, make_report
from drainer.report.metrics import metrics
from drainer.report.timeline import COLOURS, svg
from drainer.report.words import COLUMNS, document, duration, markdown, row, summary
from tests.unit.command import Drainer
from tests.unit.world import World

START = datetime(2026, 3, 1, 3, 0, 4, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def entry(name: str, state: State = State.RESTORED, **moments: float) -> Entry:
    return Entry(
        id=name.encode().hex().ljust(64, "0"),
        name=name,
        image="image",
        state=state,
        restart_policy=RestartPolicy("always"),
        times={state.replace("_", "-"): at(seconds) for state, seconds in moments.items()},
        size=10 << 20 if moments else 0,
    )


WEB = entry("web", held=1, dumping=1, dumped=3, stopped=4, restoring=60, restored=62)
DB = entry("db", held=4, dumping=5, dumped=9, stopped=10, restoring=50, restored=55.5)
COLD = replace(
    entry(
        "cold",
        State.STARTED_COLD,
        **{"dumping": 2, "dumped": 3, "stopped": 4, "restoring": 61, "started-cold": 64},
    ),
    detail="its checkpoint is damaged",
    checkpoint="drainer-1",
    checkpoint_state=CheckpointState.UNUSABLE,
)
SHELL = replace(entry("shell", State.LEFT), skip_reason="tty", detail="It has a terminal.")


def manifest(*entries: Entry, finished: str = at(65)) -> Manifest:
    return Manifest("20260301T030004Z", at(0), "shutdown", HOST, ENGINE, entries, finished=finished)


@pytest.fixture
def report() -> Report:
    booted = (START + timedelta(seconds=30)).timestamp()
    return make_report(manifest(WEB, DB, COLD, SHELL), booted, "6.12.57")


def test_each_stretch_of_time_is_told(report: Report) -> None:
    web, database, cold, shell = report.passages
    assert web.seconds(Phase.DUMP) == pytest.approx(2)
    assert web.away == pytest.approx(61)
    assert web.speed == pytest.approx(5 << 20)
    assert database.seconds(Phase.RESTORE) == pytest.approx(5.5)
    assert database.away == pytest.approx(50.5)
    assert cold.seconds(Phase.RESTORE) is None
    assert cold.away == pytest.approx(62)
    assert (shell.spans, shell.away, shell.speed) == ((), None, None)
    assert report.drain_seconds == pytest.approx(10)
    assert report.between_seconds == pytest.approx(40)
    assert report.resume_seconds == pytest.approx(15)
    assert report.worst == pytest.approx(62)
    assert report.size == 30 << 20


def test_a_pending_resume_has_no_end() -> None:
    waiting = entry("web", State.STOPPED, held=1, dumping=1, dumped=3, stopped=4)
    report = make_report(manifest(waiting, finished=""))
    assert report.passages[0].away is None
    assert (report.between_seconds, report.resume_seconds, report.worst) == (None, None, None)
    assert "Resume: pending: run `drainer resume`" in summary(report)
    assert svg(report)


@pytest.mark.parametrize("seconds", [-5, 9, 51, 1000])
def test_a_boot_that_was_not_between_them_is_not_theirs(seconds: float) -> None:
    booted = (START + timedelta(seconds=seconds)).timestamp()
    report = make_report(manifest(WEB, DB), booted, "other")
    assert (report.booted, report.kernel) == (None, "")
    assert "across" not in svg(report)


def test_a_clock_that_was_set_back_tells_nothing() -> None:
    odd = entry("web", held=1, dumping=5, dumped=3, stopped=4, restoring=2, restored=62)
    report = make_report(manifest(odd))
    assert report.passages[0].seconds(Phase.DUMP) is None
    assert report.between_seconds is None
    assert row(report.passages[0])[2:4] == ("-", "-")
    assert svg(report)


def test_a_clock_that_was_set_back_over_the_boot_makes_nobody_s_absence_negative() -> None:
    odd = entry("web", held=90, dumping=100, dumped=103, stopped=104, restoring=50, restored=52)
    report = make_report(manifest(odd))
    assert (report.passages[0].away, report.worst) == (None, None)


def test_one_that_was_told_to_stop_was_down_from_then_on() -> None:
    stopped = entry(
        "web",
        State.STARTED_COLD,
        **{"dumping": 1, "stopped": 5, "restoring": 60, "started-cold": 62},
    )
    (passage,) = make_report(manifest(stopped)).passages
    assert passage.away == pytest.approx(61)


def test_what_still_waits_from_an_earlier_drain_does_not_count_as_this_one_s() -> None:
    old = entry(
        "old", held=-900, dumping=-890, dumped=-880, stopped=-870, restoring=58, restored=59
    )
    report = make_report(manifest(old, WEB))
    assert report.drain_seconds == pytest.approx(4)
    assert report.between_seconds == pytest.approx(54)
    left = min(float(b.get("x") or 0) for b in ET.fromstring(svg(report)).iter(f"{SVG}rect"))  # noqa: S314 - our own
    assert left == 0


def test_without_a_reboot_nothing_is_said_of_one() -> None:
    report = make_report(manifest(WEB))
    assert "Until the resume: 56 s" in summary(report)
    assert "reboot" not in markdown(report)
    assert "host away" not in svg(report)


def test_what_waits_is_down_in_the_picture_too() -> None:
    waiting = entry("web", State.STOPPED, held=1, dumping=1, dumped=3, stopped=4)
    root = ET.fromstring(svg(make_report(manifest(waiting, DB, finished=""))))  # noqa: S314 - our own
    bars = root.findall(f"{SVG}g")[0].findall(f"{SVG}rect")
    assert bars[-1].get("fill") == COLOURS[Phase.DOWN]
    assert "1 waiting for their resume" in "".join(root.itertext())


def test_days_are_told_apart() -> None:
    late = entry("web", held=1, dumping=1, dumped=3, stopped=4, restoring=172800, restored=172802)
    assert "02 Mar " in svg(make_report(manifest(late, finished=at(172803))))


def test_times_that_are_none_tell_nothing() -> None:
    odd = replace(WEB, times={"dumping": "yesterday", "dumped": ""})
    report = make_report(manifest(odd, finished="soon"))
    assert report.passages[0].spans == ()
    assert svg(report)


def test_the_sum_is_for_people(report: Report) -> None:
    assert summary(report) == (
        "Drain: 20260301T030004Z (shutdown)",
        "Resume: finished",
        "Containers: 2 restored, 1 started-cold, 1 left",
        "Away longest: 1 min 2 s",
        "Drain took: 10 s",
        "Host away: 40 s",
        "Resume took: 15 s",
        "Checkpoints: 30.0 MiB, typically dumped at 5.0 MiB/s",
        f"Kernel: {HOST.kernel} before, 6.12.57 after",
    )


def test_nothing_carried_is_reported_too() -> None:
    report = make_report(manifest(SHELL))
    assert summary(report) == (
        "Drain: 20260301T030004Z (shutdown)",
        "Resume: finished",
        "Containers: 1 left",
        f"Kernel: {HOST.kernel}",
    )
    assert svg(make_report(manifest()))
    assert markdown(make_report(manifest()))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (0.0, "0.0 s"),
        (9.44, "9.4 s"),
        (9.6, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (125, "2 min 5 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_are_short(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_a_row_tells_why(report: Report) -> None:
    assert row(report.passages[2]) == (
        "cold",
        "started-cold",
        "1 min 2 s",
        "1.0 s",
        "3.0 s",
        "10.0 MiB",
        "its checkpoint is damaged; checkpoint drainer-1 is kept for inspection",
    )
    assert row(report.passages[3])[2:] == ("-", "-", "-", "-", "tty: It has a terminal.")


EVIL = "a|b`c*d_e<script>\x1b[31m\n[red]\\"


def evil() -> Report:
    return make_report(manifest(replace(WEB, name=EVIL, detail=EVIL)))


def test_markdown_takes_no_name_for_markup() -> None:
    lines = markdown(evil()).splitlines()
    table = [line for line in lines if line.startswith("|")]
    for line in table:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == len(COLUMNS) + 1
    assert r"a\|b\`c\*d\_e\<script\>\\x1b\[31m\\n\[red\]" in table[2]
    assert "\x1b" not in "".join(lines)


def test_a_picture_takes_no_name_for_markup() -> None:
    root = ET.fromstring(svg(evil()))  # noqa: S314 - our own
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg",
        "title",
        "rect",
        "line",
        "text",
        "g",
    }
    words = "".join(root.itertext())
    assert "<script>" in words
    assert "\x1b" not in words


def test_the_picture_shows_each_stretch_where_it_was(report: Report) -> None:
    root = ET.fromstring(svg(report))  # noqa: S314 - our own
    groups = root.findall(f"{SVG}g")
    names = [group.findall(f"{SVG}text")[0].text for group in groups]
    assert names == ["web", "cold", "db", "shell"]
    for group, colours in zip(groups, (4, 4, 4, 0), strict=True):
        bars = group.findall(f"{SVG}rect")
        assert len({bar.get("fill") for bar in bars}) == colours
        edges = [(float(b.get("x") or 0), float(b.get("width") or 0)) for b in bars]
        for (left, wide), (following, _) in itertools.pairwise(edges):
            assert left + wide == pytest.approx(following, abs=2)
    assert "2 of 4 containers carried across a reboot" in "".join(root.itertext())
    width = float(root.get("width") or 0)
    for box in root.iter(f"{SVG}rect"):
        assert (
            0
            <= float(box.get("x") or 0)
            <= float(box.get("x") or 0) + float(box.get("width") or 0)
            <= width
        )


def test_a_document_for_programs_has_numbers(report: Report) -> None:
    found = document(report)
    assert found["between_seconds"] == pytest.approx(40)
    assert found["counts"] == {"restored": 2, "started-cold": 1, "left": 1}
    assert (found["kernel_before"], found["kernel_after"]) == (HOST.kernel, "6.12.57")
    web, *_, shell = found["containers"]
    assert (web["bytes"], web["away_seconds"]) == (10 << 20, pytest.approx(61))
    assert (shell["away_seconds"], shell["skip_reason"]) == (None, "tty")


def test_metrics_have_what_is_known(report: Report) -> None:
    lines = metrics(report).splitlines()
    assert "drainer_pending 0" in lines
    assert 'drainer_containers{state="restored"} 2' in lines
    assert 'drainer_containers{state="gone"} 0' in lines
    assert 'drainer_container_away_seconds{name="web",id="776562000000"} 61' in lines
    assert not any('away_seconds{name="shell"' in line for line in lines)
    names = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert len(names) == len(set(names))
    for line in lines:
        assert re.fullmatch(
            r"# (HELP|TYPE) drainer_[a-z_]+ .+|drainer_[a-z_]+(\{[^}]*\})? [0-9.e+]+", line
        ), line


def test_metrics_take_no_name_for_a_label() -> None:
    evil = replace(WEB, name='x"} 1\ndrainer_pending{a="\\')
    lines = metrics(make_report(manifest(evil))).splitlines()
    dump = next(line for line in lines if line.startswith("drainer_container_dump_seconds"))
    assert r'{name="x\"} 1\\ndrainer_pending{a=\"\\",id="' in dump


def test_the_kernel_tells_when_it_started() -> None:
    assert parse_boot_moment("cpu 1 2\nbtime 1700000000\nprocesses 1\n") == 1700000000
    assert parse_boot_moment("btime x\n") is None
    assert parse_boot_moment("") is None


@pytest.fixture
def carried(drainer: Drainer, world: World) -> Drainer:
    world.add("web", "always")
    world.add("broken", "always")
    world.add("shell", "always", tty=True)
    world.engine.script("create_checkpoint", "broken", error=EngineError("criu failed"))
    world.drain()
    world.reboot()
    world.resume()
    return drainer


def test_the_command_reports_in_every_shape(carried: Drainer) -> None:
    assert carried("report") == ExitCode.OK
    assert "Containers: 1 restored, 2 left" in carried.out
    assert re.search(r"^web +restored +\d", carried.out, re.MULTILINE)
    assert carried("report", "--format", "markdown") == ExitCode.OK
    assert carried.out.startswith("# Containers carried")
    assert carried("report", "--format", "svg") == ExitCode.OK
    assert ET.fromstring(carried.out).tag == f"{SVG}svg"  # noqa: S314 - our own
    assert carried("report", "--format", "metrics") == ExitCode.OK
    assert 'drainer_containers{state="restored"} 1\n' in carried.out
    assert carried("report", "--json") == ExitCode.OK
    assert {c["state"] for c in carried.json["report"]["containers"]} == {"restored", "left"}


def test_without_a_drain_there_is_nothing_to_report(drainer: Drainer) -> None:
    assert drainer("report") == ExitCode.NO_MANIFEST
    assert "Traceback" not in drainer.err
