"""The main job on a real host: the README's path, then a reboot with twenty containers to carry."""

import re
from collections.abc import Iterator

import pytest

from tests.guest.outside import PART
from tests.guest.story import (
    BY_RUNTIME,
    CARRIED,
    KEYS,
    LOADED,
    OPEN,
    PORT,
    PSQL,
    REASONS,
    REDIS,
    SKIPPED,
    TALKERS,
    WEB,
    Story,
    addresses,
    connection,
    telling,
)
from tests.guest.suites import route
from tests.lab.host import Host
from tests.lab.workloads import (
    number_log,
    policies,
    running,
    service_state,
)

pytestmark = pytest.mark.suites("forky", long=("trixie",))


@pytest.fixture(scope="module")
def story(module_host: Host, suite: str) -> Iterator[Story]:
    with telling(module_host, suite) as story:
        yield story


def test_the_plan_says_what_is_carried_and_what_not(story: Story) -> None:
    verdicts = {name: entry["verdict"] for name, entry in story.plan.items()}
    assert verdicts == {w.name: "carry" for w in CARRIED} | {w.name: "skip" for w in SKIPPED}


def test_each_goes_by_the_route_that_suits_it(story: Story) -> None:
    planned = {w.name: story.plan[w.name]["route"] for w in CARRIED}
    usual = dict.fromkeys(planned, route(story.suite))
    assert planned == usual | dict.fromkeys(BY_RUNTIME, "runtime")
    assert {n: story.status[n]["route"] for n in planned} == planned


@pytest.mark.parametrize(("name", "reason"), REASONS.items())
def test_what_is_skipped_has_its_reason(story: Story, name: str, reason: str) -> None:
    assert story.plan[name]["reasons"][0]["id"] == reason
    assert story.status[name]["skip_reason"] == reason
    assert story.status[name]["state"] == "left"


@pytest.mark.parametrize("name", [w.name for w in CARRIED])
def test_what_is_eligible_was_restored(story: Story, name: str) -> None:
    assert story.status[name]["state"] == "restored", story.status[name]["detail"]
    pid = story.host.output(f"docker inspect -f '{{{{.State.Pid}}}}' {name}")
    times = story.host.output(f"readlink /proc/{pid}/ns/time /proc/1/ns/time").split()
    assert times[0] != times[1]


def test_redis_keeps_keys_that_it_never_saved(story: Story) -> None:
    assert story.host.output(f"{REDIS} dbsize") == str(KEYS + 1)
    assert story.host.output(f"{REDIS} get key7") == "value7"


def test_a_client_finds_its_connection_closed_and_connects_again(story: Story) -> None:
    for name in ("redis", "client"):
        assert "tcp_connections" in {note["id"] for note in story.plan[name]["notes"]}
    seen = int(story.host.output(f"{REDIS} get hits"))
    assert seen >= story.hits
    story.host.wait_until(f"test $({REDIS} get hits) -gt {seen}", 60)


def test_a_connection_within_a_group_outlasts_the_reboot(story: Story) -> None:
    assert {story.plan[name]["group"] for name in TALKERS} == {"talk"}
    before = {name: len(story.host.output(f"docker logs {name}").splitlines()) for name in TALKERS}
    for name, count in before.items():
        story.host.wait_until(f"test $(docker logs {name} | wc -l) -gt {count + 20}", 60)
        log = story.host.output(f"docker logs {name} 2>&1").splitlines()
        assert log == [f"heard {n}" for n in range(1, len(log) + 1)]
    assert story.host.output("ls -A /run/drainer 2>/dev/null || true") == ""


def test_a_client_of_redis_goes_on_over_its_one_connection(story: Story) -> None:
    before = len(story.host.output("docker logs counter-client").splitlines())
    story.host.wait_until(f"test $(docker logs counter-client | wc -l) -gt {before + 1}", 60)
    assert connection(story.host) == story.connection != ""
    log = number_log(story.host, "counter-client")
    assert log == list(range(1, len(log) + 1))


def test_a_transaction_that_was_open_can_be_committed(story: Story) -> None:
    host = story.host
    assert host.output(f"{PSQL} -c '{OPEN}'") == "1"
    host.run("docker exec teller touch /tmp/go", 60)
    host.wait_until("docker logs teller | grep ended", 60)
    assert host.output("docker logs teller 2>/dev/null") == "7\nended"
    assert host.output(f"{PSQL} -c 'table opened'") == "7"


def test_a_download_goes_on_after_the_reboot(story: Story) -> None:
    host = story.host
    loaded = int(host.output(LOADED))
    assert story.loaded <= loaded < 60 << 20
    host.run("docker exec download touch /tmp/go", 60)
    digest = host.output("docker exec files sha256sum /tmp/file", 60).split()[0]
    host.wait_until(f"docker logs --tail 1 download | grep -x {digest}", 120)
    sizes = host.output("docker logs download").splitlines()[:-1]
    assert sizes[-1] == str(64 << 20)
    # The other one is that of the next test.
    assert host.output("docker logs files 2>&1 | grep -c GET") == "2"


def test_connections_with_other_hosts_outlast_the_reboot(story: Story) -> None:
    host = story.host
    for name in ("far", "files"):
        assert "tcp_kept" in {note["id"] for note in story.plan[name]["notes"]}
    assert story.outside
    assert [story.outside.count() for _ in range(3)] == [story.counted + n for n in (1, 2, 3)]
    begin = f"head -c {2 * PART} /tmp/file | sha256sum"
    digest = host.output(f"docker exec files sh -c '{begin}'", 60).split()[0]
    assert story.outside.load_more() == digest
    said = host.journal("-b", "-u", "drainer-guard.service", "-o", "cat")
    assert "Finished" in said, said
    assert host.output("ls /var/lib/drainer/guard.rules || true") == ""
    assert "DRAINER" not in host.output("iptables -t mangle -S")


def test_checkpoints_were_read_while_docker_started(story: Story) -> None:
    said = story.host.journal("-b", "-u", "drainer-read-ahead.service", "-o", "cat")
    assert re.search(r"^checkpoints read ahead: [1-9]", said, re.MULTILINE), said


def test_most_of_a_large_one_was_saved_before_it_was_frozen(story: Story) -> None:
    assert {name for name, entry in story.plan.items() if entry["pre_dump"]} == {"large"}
    assert not any("beforehand" in note for note in story.status["large"]["notes"])
    assert story.status["large"]["size"] > 150 << 20
    log = number_log(story.host, "large")
    assert log == list(range(1, len(log) + 1))


def test_postgres_answers_from_the_same_server_process(story: Story) -> None:
    assert story.host.output(f"{PSQL} -c 'table t'") == "42"
    log = story.host.output("docker logs postgres 2>&1")
    assert log.count("database system is ready to accept connections") == 1


def test_the_counter_goes_on_from_its_value(story: Story) -> None:
    token, count = service_state(story.host, PORT)
    assert token == story.token
    assert count > story.count


def test_nginx_answers_on_its_published_port(story: Story) -> None:
    page = story.host.output(f"curl -sf -m 10 http://127.0.0.1:{WEB}/")
    assert "nginx" in page.lower()


RESTARTED = [
    "numbers",
    "provider",
    "user",
    "withinit",
    "linked",
    "host",
    "none",
    "fixed",
    "dynamic",
]


@pytest.mark.parametrize("name", [*RESTARTED, "limited"])
def test_the_log_has_no_gap_no_repetition_and_no_restart(story: Story, name: str) -> None:
    story.host.run("sleep 2")
    log = number_log(story.host, name)
    assert len(log) > 20
    assert log == list(range(1, len(log) + 1))


def test_each_policy_is_as_before(story: Story) -> None:
    left = {n: p for n, p in story.policies.items() if n != "temporary"}
    assert policies(story.host) == left
    assert {"no", "always", "unless-stopped", "on-failure"} == set(left.values())


def test_what_its_owner_had_paused_is_paused(story: Story) -> None:
    state = story.host.output("docker inspect -f '{{.State.Paused}}' frozen")
    assert state == "true"


def test_the_user_shares_its_provider_s_network(story: Story) -> None:
    spaces = [
        story.host.output(f"readlink /proc/$(docker inspect -f '{{{{.State.Pid}}}}' {n})/ns/net")
        for n in ("provider", "user")
    ]
    assert spaces[0] == spaces[1]


def test_skipped_ones_with_a_policy_run_as_docker_started_them(story: Story) -> None:
    assert {"terminal", "optout"} <= running(story.host)
    log = number_log(story.host, "optout")
    assert log.count(1) == 2


def test_a_restored_container_can_be_worked_with(story: Story) -> None:
    host = story.host
    assert host.output("docker exec withinit echo hello", 60) == "hello"
    host.run("docker exec dynamic ping -c 1 -w 20 fixed", 60)
    host.run("docker exec fixed ping -c 1 -w 20 other", 60)
    health = "docker inspect -f '{{.State.Health.Status}}' checked | grep healthy"
    assert host.wait_until(health, 120) == "healthy"
    group = host.output("cat /proc/$(docker inspect -f '{{.State.Pid}}' limited)/cgroup")
    limit = host.output(f"cat /sys/fs/cgroup{group.rpartition(':')[2]}/memory.max")
    assert int(limit) == 64 << 20


def test_addresses_are_as_before_unless_the_plan_said_otherwise(story: Story) -> None:
    warned = {
        name
        for name, entry in story.plan.items()
        if any(note["id"] == "address_changes" for note in entry["notes"])
    }
    # Docker starts two skipped ones first, and they take two addresses.
    assert len(warned) <= 2
    after = addresses(story.host)
    kept = story.addresses.keys() - warned
    assert {n: after[n] for n in kept} == {n: story.addresses[n] for n in kept}
    assert "10.77.0.77" in after["fixed"]
    assert "fd77::77" in after["fixed"]
    assert story.host.output("docker ps -aq --filter label=drainer.placeholder") == ""


def test_a_lock_is_held_and_a_deleted_file_is_whole(story: Story) -> None:
    lines = story.host.output("docker logs locked").splitlines()
    assert lines == [f"{n} {3 << 20}" for n in range(1, len(lines) + 1)]
    held = "docker exec locked flock -n /tmp/lock true"
    assert story.host.run(held, 60, check=False).status == 1


def test_a_mount_of_a_link_is_what_it_was(story: Story) -> None:
    assert story.host.output("docker exec linked cat /link", 60) == "drainer-lab"


def test_nothing_is_left_behind(story: Story) -> None:
    assert story.host.output("find /usr/local/sbin /run/drainer -mindepth 1 || true") == ""
    assert story.host.output("find /var/lib/drainer/checkpoints -mindepth 1 || true") == ""
    assert story.host.output("pgrep -l 'criu|runc' || true") == ""
    assert story.host.output("ls -d /tmp/ctrd-checkpoint* 2>/dev/null || true") == ""
    checkpoints = "find /var/lib/docker/containers/*/checkpoints -mindepth 1 -maxdepth 1"
    assert story.host.output(f"{checkpoints} 2>/dev/null || true") == ""
    modes = story.host.output("stat -c %a /var/lib/drainer /var/lib/drainer/manifest.yaml")
    assert modes.split() == ["700", "600"]


def test_a_second_resume_has_nothing_to_do(story: Story) -> None:
    before = story.host.output("sha256sum /var/lib/drainer/manifest.yaml")
    result = story.host.run("drainer resume", 60)
    assert "nothing to do" in result.stderr
    assert story.host.output("sha256sum /var/lib/drainer/manifest.yaml") == before


def test_no_unit_failed_and_the_drain_is_on_the_console(story: Story) -> None:
    assert story.host.output("systemctl list-units --failed --no-legend 'drainer*'") == ""
    assert re.search(r"drainer: redis: stopped", story.host.console())


def test_restarts_and_reloads_drain_nothing(story: Story) -> None:
    host = story.host
    before = host.output("sha256sum /var/lib/drainer/manifest.yaml")
    log = len(number_log(host, "numbers"))
    host.run("systemctl daemon-reload && systemctl restart drainer-drain.service", 120)
    assert "not going down" in host.journal("-b", "-u", "drainer-drain.service", "-n", "20")
    assert host.output("sha256sum /var/lib/drainer/manifest.yaml") == before
    assert len(number_log(host, "numbers")) > log
    # Docker stops and starts each of them, which takes an emulated host minutes: two will do.
    kept = {"numbers", "redis"}
    gone = " ".join(sorted(w.name for w in CARRIED + SKIPPED if w.name not in kept))
    host.run(f"docker rm -f {gone} 2>/dev/null || true", 180)
    assert running(host) == kept
    host.run("systemctl restart docker.service", 180)
    assert host.output("sha256sum /var/lib/drainer/manifest.yaml") == before


def test_the_units_pass_systemd_s_own_check(story: Story) -> None:
    story.host.run(
        "systemd-analyze verify --recursive-errors=no"
        " /usr/local/lib/systemd/system/drainer-*.service"
    )
