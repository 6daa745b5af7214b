"""What plain Docker and each route make of each network mode, as a table.

The table is printed, and what drainer does must be in the README.
"""

import json
from pathlib import Path

import pytest

from tests.guest.conftest import HostFactory
from tests.guest.suites import ENGINE_SUITES
from tests.lab.host import Host
from tests.lab.workloads import number_log, numbers, running, start_all

pytestmark = pytest.mark.suites(long=("forky", "trixie"))

README = Path(__file__).parents[2] / "README.md"

MODES = {
    "bridge": "--network bridge",
    "user": "--network matrix",
    "none": "--network none",
    "host": "--network host",
    "container": "--network container:bridge",
}
RESTORED, SKIPPED, BROKEN = "restored", "skipped", "broken"


def fresh(host: Host) -> None:
    """Start one container for each mode anew."""
    host.run("docker ps -aq | xargs -r docker rm -f", 120)
    for name, options in MODES.items():
        start_all(host, (numbers(name, options),))
    host.run("sleep 2")


def went_on(host: Host, name: str, before: list[int]) -> bool:
    """Tell whether a container runs and counts on from where it was."""
    host.run("sleep 1")
    log = number_log(host, name)
    return name in running(host) and log[: len(before)] == before and log.count(1) == 1


def by_hand(host: Host, name: str) -> str:
    """Do what the manual of Docker says."""
    before = number_log(host, name)
    script = f"docker checkpoint create {name} byhand && docker start --checkpoint byhand {name}"
    result = host.run(script, 300, check=False)
    well = result.status == 0 and went_on(host, name, before)
    return RESTORED if well else BROKEN


def by_drainer(host: Host, route: str) -> dict[str, str]:
    """Drain and resume on one route, and hold it to what its plan said."""
    plan = json.loads(host.run(f"drainer --route {route} plan --json", 120, check=False).stdout)
    carried = {e["name"] for e in plan["entries"] if e["verdict"] == "carry"}
    before = {name: number_log(host, name) for name in MODES}
    host.run(f"drainer --route {route} drain && drainer resume", 600, check=False)
    results = {}
    for name in MODES:
        well = went_on(host, name, before[name])
        results[name] = (RESTORED if name in carried else SKIPPED) if well else BROKEN
    return results


def test_every_network_mode(
    new_host: HostFactory, suite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    host = new_host(experimental=True)
    host.run("docker network create matrix", 60)
    version = host.output("docker version -f '{{.Server.Version}}'").partition("+")[0]
    fresh(host)
    # The user before its provider, which would be another one afterwards.
    plain = {name: by_hand(host, name) for name in reversed(MODES)}
    fresh(host)
    engine = by_drainer(host, "engine")
    runtime = by_drainer(host, "runtime")

    table = [
        f"| {version} | `{name}` | {plain[name]} | {engine[name]} | {runtime[name]} |"
        for name in MODES
    ]
    with capsys.disabled():
        print("", "| Docker | network | by hand | engine | runtime |", *table, sep="\n")  # noqa: T201
    assert runtime == dict.fromkeys(MODES, RESTORED)
    assert BROKEN not in engine.values()
    if suite in ENGINE_SUITES:
        assert engine == dict.fromkeys(MODES, RESTORED)
    # What plain Docker makes of it varies on a busy host: it may refuse its own images for a while.
    told = README.read_text(encoding="utf-8").splitlines()
    for name in MODES:
        begin, end = f"| {version} | `{name}` |", f"| {engine[name]} | {runtime[name]} |"
        assert [line for line in told if line.startswith(begin) and line.endswith(end)], name
