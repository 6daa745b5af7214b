"""The oldest Docker that is tried: what cannot be carried is said before, the rest is carried."""

import json
from typing import Any

import pytest

from tests.guest.suites import set_up
from tests.lab.host import Host
from tests.lab.workloads import number_log, numbers, policies, redis, running, start_all

pytestmark = pytest.mark.suites("bookworm")

CARRIED = (
    redis("redis", "--restart always"),
    numbers("bridge", "--restart unless-stopped"),
    numbers("none", "--network none"),
    numbers("user", "--network container:bridge --restart always"),
    numbers("withinit", "--init --restart on-failure"),
)
SKIPPED = {
    "terminal": ("tty", "-t -i --restart always"),
    "hardened": ("no_new_privileges_lost", "--security-opt no-new-privileges --restart always"),
}
REDIS = "docker exec redis redis-cli"


def _json(host: Host, command: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(host.output(command, 120))
    return document


def test_what_was_said_before_is_what_happens(module_host: Host, suite: str) -> None:
    host = module_host
    set_up(host, suite)
    start_all(host, CARRIED)
    start_all(host, tuple(numbers(name, options) for name, (_, options) in SKIPPED.items()))
    host.run(f"{REDIS} set key value", 60)
    before = policies(host)

    routes = {r["route"]: r for r in _json(host, "drainer doctor --json")["routes"]}
    assert routes["engine"]["reasons"][0]["id"] == "engine_not_experimental"
    assert routes["runtime"]["reasons"] == []
    plan = {e["name"]: e for e in _json(host, "drainer plan --json")["entries"]}
    assert {n for n, e in plan.items() if e["verdict"] == "carry"} == {w.name for w in CARRIED}
    assert {n: plan[n]["reasons"][0]["id"] for n in SKIPPED} == {
        name: reason for name, (reason, _) in SKIPPED.items()
    }

    host.reboot(timeout=900)

    manifest = _json(host, "drainer status --json")["manifest"]
    states = {e["name"]: (e["state"], e["detail"]) for e in manifest["entries"]}
    assert {n: states[n] for n in plan if n not in SKIPPED} == {
        w.name: ("restored", "") for w in CARRIED
    }
    assert {states[n][0] for n in SKIPPED} == {"left"}
    assert running(host) == set(plan)
    assert policies(host) == before
    assert host.output(f"{REDIS} get key") == "value"
    for workload in CARRIED[1:]:
        log = number_log(host, workload.name)
        assert log == list(range(1, len(log) + 1)), workload.name
    assert host.output("find /usr/local/sbin /run/drainer -mindepth 1 || true") == ""
    assert host.output("systemctl list-units --failed --no-legend 'drainer*'") == ""
