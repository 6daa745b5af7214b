"""What a whole reboot takes, with drainer and without."""

from collections.abc import Iterator
from itertools import pairwise

from tests.bench.cases import DRAINER, Case, Way, small
from tests.bench.measurement import Failure, Measurement, Taken, alive, ticks
from tests.lab.host import Host

SECONDS = 900.0
ALONE = Way("without drainer", "docker", "drainer uninstall")
WITH = Way("drainer", "docker", "drainer install --enable")
"""What is done before the reboot."""
ACROSS = Case("20 small, across a reboot", small(20), (ALONE, WITH))
"""Each time a real one: the host goes down and boots."""

_START = "docker run -d --restart always --name {0.name} {0.options} {0.image} {0.command}"
_LAST = (
    "docker inspect -f '{{.State.StartedAt}}' $(docker ps -q)"
    " | xargs -I@ date +%s.%N -d @ | sort -n | tail -n 1"
)
_BOOTED = "echo $(date +%s.%N) $(cut -d' ' -f1 /proc/uptime)"


def reboots(host: Host, case: Case, rounds: int) -> Iterator[Measurement | Failure]:
    """Reboot the host with all programs of a case running, in each way so many times."""
    host.write("/etc/drainer/config.yaml", DRAINER.configuration)
    host.run("mkdir -p /srv/ticks && rm -f /srv/ticks/*")
    for program in case.programs:
        host.run(f"{_START.format(program)} >/dev/null", 300)
    for _ in range(rounds):
        for way in case.ways:
            host.run(way.down, 120)
            yield _reboot(host, case, way)
    host.run("docker ps -aq | xargs -r docker rm -f", SECONDS)


def _reboot(host: Host, case: Case, way: Way) -> Measurement:
    names = [program.name for program in case.programs]
    begin = float(host.output("sync; sleep 2; date +%s.%N"))
    host.reboot(timeout=SECONDS)
    now, uptime = map(float, host.output(_BOOTED).split())
    booted = now - uptime
    host.wait_until(f"[ $(docker ps -q | wc -l) = {len(names)} ]", SECONDS)
    host.wait_until(alive(names, booted), SECONDS)
    last = float(host.output(_LAST, 300))
    away = (max(b - a for a, b in pairwise(times)) for times in ticks(host, begin).values())
    return Measurement(
        case.name,
        way.name,
        _only(booted - begin),
        _only(last - booted),
        0,
        None,
        tuple(round(seconds, 2) for seconds in away),
    )


def _only(seconds: float) -> Taken:
    """Nothing else is known of it."""
    return Taken(round(seconds, 2), round(seconds, 2), 0.0, 0.0, 0, 0)
