"""What a host can do: predicted by `drainer doctor`, and proved by `drainer doctor --live`."""

import json
from typing import Any

import pytest

from tests.lab.host import Host

pytestmark = pytest.mark.suites("forky")

# Of an emulated host; on metal the default is enough by far.
BUDGET = 600
OLD_CRIU = "#!/bin/sh\necho Version: 3.16\n"
"""What a CRIU says that is too old for every kernel."""

TRACES = """\
docker ps -aq | sort
docker images -aq | sort
find /run/drainer -type f 2>/dev/null
find /run/drainer/restores -mindepth 1 2>/dev/null
find /var/lib/drainer -mindepth 1 ! -name lock ! -name trials.json 2>/dev/null
ls -d /usr/local/sbin/runc /tmp/ctrd-checkpoint* 2>/dev/null
find /var/lib/docker/containers -mindepth 1 2>/dev/null
true
"""


REMEMBERED = "/var/lib/drainer/trials.json"
"""What the trials showed: it stays on purpose, for the plans to come."""


def _traces(host: Host) -> str:
    return host.output(TRACES)


def _doctor(host: Host, options: str = "", status: int = 0) -> str:
    result = host.run(f"drainer doctor {options}", BUDGET + 120, check=False)
    print(result.stdout, result.stderr)  # noqa: T201 - shown with -s, or when the test fails
    assert result.status == status
    return result.stdout


def _document(host: Host, options: str = "", status: int = 0) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_doctor(host, f"{options} --json", status))
    assert document.pop("format_version") == "1.0"
    return document


def _verdicts(document: dict[str, Any]) -> dict[str, str]:
    return {check["id"]: check["verdict"] for check in document["checks"]}


@pytest.fixture(scope="module")
def before(module_host: Host) -> str:
    """Note what was there before the first doctor: the lab's images."""
    return _traces(module_host)


def test_what_a_stock_host_can_do_is_predicted(module_host: Host, before: str) -> None:
    text = _doctor(module_host)
    document = _document(module_host)
    verdicts, routes = _verdicts(document), {r["route"]: r for r in document["routes"]}
    assert document["trials"] is None
    assert verdicts["docker"] == verdicts["root"] == verdicts["criu"] == "ok"
    assert verdicts["units"] == verdicts["experimental"] == "note"
    reasons = {name: [r["id"] for r in route["reasons"]] for name, route in routes.items()}
    assert reasons["engine"][0] == "engine_not_experimental"
    assert reasons["runtime"] == []
    assert "engine: cannot: engine_not_experimental" in text
    assert "runtime: every network mode" in text
    assert module_host.run("test -e /var/lib/drainer", check=False).status == 1
    assert _traces(module_host) == before


def test_an_incapable_host_is_told_before_anything_is_touched(
    module_host: Host, before: str
) -> None:
    module_host.write("/usr/local/sbin/criu", OLD_CRIU, "755")
    document = _document(module_host, "--live", 13)
    module_host.run("rm /usr/local/sbin/criu")
    assert _verdicts(document)["criu"] == "problem"
    assert "criu_too_old" in json.dumps(document["routes"])
    assert document["trials"] is None
    assert module_host.run("test -e /var/lib/drainer", check=False).status == 1
    assert _traces(module_host) == before


def test_the_runtime_route_is_proved_on_a_stock_host(module_host: Host, before: str) -> None:
    document = _document(module_host, f"--live --budget {BUDGET}")
    (trial,) = document["trials"]
    assert (trial["route"], trial["network"]) == ("runtime", "bridge")
    assert trial["restored"], trial["reason"]
    assert trial["size"] > 0
    assert 0 < trial["dump_seconds"] < trial["frozen_seconds"]
    assert document["left_behind"] == []
    assert module_host.output(f"stat -c '%U %a' {REMEMBERED}").strip() == "root 600"
    assert _traces(module_host) == before


@pytest.mark.parametrize(
    ("signal", "status"),
    [
        pytest.param("TERM", 143, marks=pytest.mark.suites(long=("forky",))),
        ("KILL", 137),
    ],
)
def test_nothing_stays_of_a_doctor_that_was_ended(
    module_host: Host, before: str, signal: str, status: int
) -> None:
    seen = "docker ps -q --filter label=drainer.doctor | grep -q ."
    module_host.run(
        f"drainer doctor --live --budget {BUDGET} >/root/doctor 2>&1 & pid=$!;"
        f" until {seen}; do sleep 0.2; done; kill -{signal} $pid; wait $pid; test $? = {status}",
        300,
    )
    if signal == "KILL":
        assert module_host.output("docker ps -q --filter label=drainer.doctor") != ""
        document = _document(module_host, f"--live --budget {BUDGET}")
        assert [trial["restored"] for trial in document["trials"]] == [True]
    assert _traces(module_host) == before


def test_both_routes_are_proved_with_experimental_mode(module_host: Host, before: str) -> None:
    module_host.run("docker run -d --name other lab/busybox sleep 100000", 120)
    started = "docker inspect -f '{{.State.StartedAt}} {{.RestartCount}}' other"
    module_host.run("drainer install --enable --experimental && systemctl restart docker", 180)
    module_host.run("docker start other", 120)
    other = module_host.output(started)
    document = _document(module_host, f"--live --budget {BUDGET}")
    _doctor(module_host, f"--live --budget {BUDGET} --route engine")
    assert module_host.output(started) == other
    assert _verdicts(document)["units"] == "ok"
    trials = {trial["route"]: trial for trial in document["trials"]}
    assert {name: trial["reason"] for name, trial in trials.items()} == {
        "engine": "",
        "runtime": "",
    }
    broken = "netns_restore_broken" in json.dumps(document["routes"])
    assert trials["engine"]["network"] == ("host" if broken else "bridge")
    module_host.run("docker rm -f other", 120)
    assert _traces(module_host) == before
