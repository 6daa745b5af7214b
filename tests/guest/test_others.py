"""The older Dockers: what cannot be carried is said before, the rest is carried over a reboot."""

import json
from typing import Any

import pytest

from drainer.model import Route
from tests.guest.suites import route, set_up
from tests.lab.host import Host
from tests.lab.workloads import number_log, numbers, policies, redis, running, start_all

pytestmark = pytest.mark.suites(long=("bookworm", "trixie"))

CARRIED = (
    redis("redis", "--restart always"),
    numbers("bridge", "--restart unless-stopped"),
    numbers("none", "--network none"),
    numbers("user", "--network container:bridge --restart always"),
    numbers("withinit", "--init --restart on-failure"),
    numbers("fixed", "--network backend --ip 10.77.0.77"),
)
BY_RUNTIME = "withinit"
"""Docker itself cannot restore it, even where it can restore others."""
TERMINAL = numbers("terminal", "-t -i --restart always")
HARDENED = numbers("hardened", "--security-opt no-new-privileges --restart always")
LOSES_PRIVILEGES = frozenset({"bookworm"})
"""Where CRIU is older than 3.19."""
REDIS = "docker exec redis redis-cli"


def _json(host: Host, command: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(host.output(command, 120))
    return document


def test_what_was_said_before_is_what_happens(module_host: Host, suite: str) -> None:
    host = module_host
    set_up(host, suite)
    usual = route(suite)
    host.run("docker network create --subnet 10.77.0.0/24 backend", 60)
    old = suite in LOSES_PRIVILEGES
    carried = CARRIED if old else (*CARRIED, HARDENED)
    skipped = {"terminal": "tty"} | ({"hardened": "no_new_privileges_lost"} if old else {})
    start_all(host, (*CARRIED, TERMINAL, HARDENED))
    host.run(f"{REDIS} set key value", 60)
    before = policies(host)

    doctor = _json(host, "drainer doctor --json")["routes"]
    reasons = {r["route"]: [reason["id"] for reason in r["reasons"]] for r in doctor}
    assert reasons["runtime"] == []
    assert ("engine_not_experimental" in reasons["engine"]) == (usual is Route.RUNTIME)
    plan = {e["name"]: e for e in _json(host, "drainer plan --json")["entries"]}
    assert {n for n, e in plan.items() if e["verdict"] == "carry"} == {w.name for w in carried}
    assert {n: plan[n]["reasons"][0]["id"] for n in skipped} == skipped
    assert {w.name: plan[w.name]["route"] for w in carried} == {
        w.name: Route.RUNTIME if w.name == BY_RUNTIME else usual for w in carried
    }

    host.reboot(timeout=900)

    manifest = _json(host, "drainer status --json")["manifest"]
    states = {e["name"]: (e["state"], e["detail"]) for e in manifest["entries"]}
    assert {n: states[n] for n in plan if n not in skipped} == {
        w.name: ("restored", "") for w in carried
    }
    assert {states[n][0] for n in skipped} == {"left"}
    assert running(host) == set(plan)
    assert policies(host) == before
    assert host.output(f"{REDIS} get key") == "value"
    address = "{{.NetworkSettings.Networks.backend.IPAddress}}"
    assert host.output(f"docker inspect -f '{address}' fixed") == "10.77.0.77"
    for workload in carried[1:]:
        log = number_log(host, workload.name)
        assert log == list(range(1, len(log) + 1)), workload.name
    assert host.output("find /usr/local/sbin /run/drainer -mindepth 1 || true") == ""
    assert host.output("systemctl list-units --failed --no-legend 'drainer*'") == ""
