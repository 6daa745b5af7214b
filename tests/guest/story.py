"""Programs that a real host carries across a reboot, and what they remember."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.guest.outside import FILES_PORT, REDIS_PORT, Outside, outside
from tests.guest.suites import set_up
from tests.lab.host import Host
from tests.lab.workloads import (
    CLIENT,
    COUNT,
    FILES,
    LARGE,
    LOCKED,
    NUMBERS,
    TELL,
    Workload,
    download,
    nginx,
    numbers,
    policies,
    redis,
    service,
    service_state,
    start_all,
    talker,
)

TALKERS = ("called", "caller")
PORT = 9001
WEB = 8080
KEYS = 200

_HEALTH = "--health-interval 30s --health-timeout 60s"
_LIMITS = "--memory 64m --cpus 0.5 --read-only --user 1000 --cap-drop ALL"
NETWORK = "docker network create --ipv6 --subnet 10.77.0.0/24 --subnet fd77::/64 backend"

TALK = "--network backend --restart always --label drainer.tcp=keep --label drainer.group=talk"
KEPT = "--network backend --label drainer.tcp=keep --label drainer.group"
BY_RUNTIME = (
    *("redis", "client", "withinit", "linked", "locked", "caller", "called"),
    *("counted", "counter-client", "postgres", "teller", "files", "download", "far"),
)
"""Those that Docker itself cannot restore, even where it can restore others."""

CARRIED = (
    redis("redis", "--restart always"),
    nginx("web", WEB, "--restart unless-stopped"),
    service("counter", PORT, "--restart on-failure"),
    numbers("numbers"),
    Workload("postgres", "lab/postgres", "", f"--restart always {KEPT}=money"),
    numbers("provider", "--restart always"),
    numbers("user", "--network container:provider --restart always"),
    numbers("frozen", "--restart always"),
    numbers("unconfined", "--security-opt seccomp=unconfined"),
    numbers("withinit", "--init --restart always"),
    numbers("host", "--network host"),
    numbers("none", "--network none"),
    numbers("fixed", "--network backend --ip 10.77.0.77 --ip6 fd77::77 --restart on-failure:3"),
    numbers("dynamic", "--network backend --network-alias other"),
    Workload("checked", "lab/redis", "", f"--health-cmd 'redis-cli ping' {_HEALTH} -v data:/data"),
    numbers("linked", "-v /srv/link:/link:ro --restart always"),
    Workload("locked", "lab/workload", f"sh -c '{LOCKED}'"),
    Workload("client", "lab/redis", f"sh -c '{CLIENT}'", "--link redis --restart always"),
    Workload("large", "lab/python", f"python3 -c '{LARGE}'", "--restart always"),
    talker("called", TALK),
    talker("caller", TALK, "called"),
    redis("counted", f"{KEPT}=count"),
    Workload("counter-client", "lab/redis", f"sh -c '{COUNT}'", f"{KEPT}=count"),
    Workload("teller", "lab/workload", f"sh -c '{TELL}'", f"{KEPT}=money"),
    Workload("files", "lab/python", f"sh -c '{FILES}'", f"-p {FILES_PORT}:8000 {KEPT}=http"),
    download("download", f"{KEPT}=http", "http://files:8000/file"),
    redis("far", f"-p {REDIS_PORT}:6379 --network backend --label drainer.tcp=keep"),
    Workload("limited", "lab/busybox", f"sh -c '{NUMBERS}'", f"{_LIMITS} --tmpfs /scratch"),
)
SKIPPED = (
    Workload("terminal", "lab/busybox", "sh", "-t -i --restart always"),
    Workload("temporary", "lab/busybox", "sleep 100000", "--rm"),
    numbers("optout", "--label drainer.enable=false --restart unless-stopped"),
)
REASONS = {
    "terminal": "tty",
    "temporary": "auto_remove",
    "optout": "opted_out",
}


@dataclass
class Story:
    """What was seen before, during and after the reboot."""

    host: Host
    suite: str
    policies: dict[str, str] = field(default_factory=dict)
    token: str = ""
    count: int = 0
    hits: int = 0
    loaded: int = 0
    """How many bytes were loaded down by HTTP."""
    connection: str = ""
    """What redis calls the one of its client's that is kept."""
    outside: Outside | None = None
    counted: int = 0
    """How far `outside` has counted."""
    plan: dict[str, dict[str, Any]] = field(default_factory=dict)
    status: dict[str, dict[str, Any]] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    """What each carried container had, by name."""


@contextmanager
def telling(host: Host, suite: str) -> Iterator[Story]:
    """Start everything, reboot, and note what is to be compared."""
    with ExitStack() as stack:
        yield _tell(Story(host, suite), stack)


def _tell(story: Story, stack: ExitStack) -> Story:
    host, suite = story.host, story.suite
    assert "No container is running." in host.output("drainer plan", 60)
    set_up(host, suite)
    host.run(f"{NETWORK} && ln -s /etc/hostname /srv/link", 60)
    start_all(host, CARRIED + SKIPPED)
    host.run(f"for i in $(seq {KEYS}); do echo set key$i value$i; done | {REDIS}", 60)
    host.wait_until(f"{PSQL} -c 'create table t as select 42 as answer'", 120)
    story.token, story.count = service_state(host, PORT)
    host.wait_until(f"test $({REDIS} get hits) -gt 1", 60)
    for name in TALKERS:
        host.wait_until(f"test $(docker logs {name} | grep -c heard) -gt 20", 120)
    host.wait_until("test $(docker logs counter-client | wc -l) -gt 2", 120)
    story.connection = connection(host)
    host.wait_until(f"{PSQL} -c '{OPEN}' | grep -qx 1", 120)
    host.wait_until(f"test $({LOADED}) -gt 100000", 120)
    host.run("docker pause frozen", 60)
    host.wait_until("docker exec far redis-cli ping", 120)
    story.outside = stack.enter_context(outside(host))
    story.counted = story.outside.count()
    story.policies = policies(host)
    story.plan = {e["name"]: e for e in answer(host, "drainer plan --json")["entries"]}
    story.addresses = addresses(host)
    story.hits = int(host.output(f"{REDIS} get hits"))
    story.loaded = int(host.output(LOADED))
    host.reboot(timeout=900)
    status = answer(host, "drainer status --json")
    story.status = {e["name"]: e for e in status["manifest"]["entries"]}
    return story


def connection(host: Host) -> str:
    """Return the id of the one connection from another container."""
    clients = host.output("docker exec counted redis-cli client list", 60).splitlines()
    (line,) = (line for line in clients if " addr=10.77.0." in line)
    return line.split()[0]


def addresses(host: Host) -> dict[str, str]:
    """Ask the network of each container, not Docker: IPv4, IPv6 and hardware addresses."""
    names = " ".join(w.name for w in CARRIED if w.name != "host")
    # Few programs: they compete with all that the containers do.
    script = (
        f"docker inspect -f '{{{{.State.Pid}}}} {{{{.Name}}}}' {names} | while read pid name;"
        " do echo =$name; nsenter -t $pid -n ip -o addr; nsenter -t $pid -n ip -o link; done"
    )
    found: dict[str, str] = {}
    for part in host.output(script, 120).split("=/")[1:]:
        name, _, rest = part.partition("\n")
        words = ADDRESS.findall(rest)
        found[name] = " ".join("".join(word) for word in words)
    return found


ADDRESS = re.compile(r"(?:inet6? (\S+) .*scope global)|(?:: eth0\S* .*link/ether (\S+))")
"""What `ip -o addr` and `ip -o link` print."""
LOADED = "docker logs --tail 1 download"
REDIS = "docker exec -i redis redis-cli"
# What Debian has on the path is a script in Perl.
_CLIENT = """sh -c 'exec /usr/lib/postgresql/*/bin/psql "$@"' psql"""
PSQL = f"docker exec postgres {_CLIENT} -h 127.0.0.1 -U postgres -Atq"
OPEN = "select count(*) from pg_stat_activity where state = $$idle in transaction$$"


def answer(host: Host, command: str) -> dict[str, Any]:
    result = host.run(command, 120)
    document: dict[str, Any] = json.loads(result.stdout)
    assert document.pop("format_version") == "1.0"
    return document
