import json
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.bench import report
from tests.bench.cases import CASES
from tests.bench.measurement import Failure, Measurement, Taken


def trip(case: str, way: str, seconds: float, count: int = 1) -> Measurement:
    half = Taken(seconds, seconds - 0.5, 2 * seconds, 0.25, 50 << 10, 1 << 10)
    return Measurement(case, way, half, half, 3 << 10, None, (seconds,) * count)


@pytest.fixture
def lines(tmp_path: Path) -> list[str]:
    found: list[Measurement | Failure] = [
        *(trip("1 small", "plain loop", seconds) for seconds in (4.0, 9.0, 3.0)),
        trip("1 small", "drainer", 2.0),
        Failure("1 small", "Podman", "up: no such <thing>"),
        trip("5 small", "plain loop", 12.0, 5),
        Measurement("5 small", "dd", Taken(1, 1, 1, 0, 0, 0), None, 1024, None, ()),
    ]
    file = tmp_path / "measurements"
    records = [{"versions": ["Docker 1", "criu 2"]}, *map(asdict, found)]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    report.main(file, tmp_path)
    return (tmp_path / "benchmark.md").read_text().splitlines()


def test_a_row_has_medians_and_what_drainer_itself_took(lines: list[str]) -> None:
    loop = "| plain loop | 3 | 4.0 s | 3.5 s |  | 4.0 s, 9.0 s | 3 MiB | 8.0 s + 8.0 s | 1 MiB |  |"
    assert loop in lines
    own = "| 3 MiB | 4.0 s + 4.0 s | 1 MiB | 0.2 s + 0.2 s, 50 MiB |"
    assert f"| drainer | 1 | 2.0 s | 1.5 s |  | 2.0 s, 2.0 s {own}" in lines
    assert "| dd | 1 | 1.0 s |  |  |  | 1 MiB | 1.0 s |  |  |" in lines
    assert "Podman failed: `up: no such <thing>`" in lines
    assert any("Docker 1, criu 2" in line for line in lines)


def test_one_more_container_costs_what_the_medians_say(lines: list[str]) -> None:
    assert "| plain loop | 2.00 s | 2.00 s | 4.00 s |" in lines


def test_the_picture_is_one(lines: list[str], tmp_path: Path) -> None:
    assert "![Down and up](benchmark.svg)" in lines
    picture = ET.parse(tmp_path / "benchmark.svg").getroot()  # noqa: S314 - our own
    rectangles = picture.findall("{http://www.w3.org/2000/svg}rect")
    assert len(rectangles) == 1 + 2 * len(("loop", "drainer", "loop of 5", "dd"))


def test_no_two_cases_or_ways_have_one_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        assert len({way.name for way in case.ways}) == len(case.ways)
