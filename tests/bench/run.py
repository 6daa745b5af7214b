"""Measure drainer beside what people would use instead, on one disposable host in one run.

`python -m tests.bench.run [--case NAME ...] [--rounds N] [--to FILE]` appends each measurement to
FILE as a line of JSON; `tests.bench.report` makes tables and a picture of them.
"""

import argparse
import json
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.bench.cases import CASES, CRIU, DRAINER, LOOP, PODMAN, Case, Program, Way, small
from tests.bench.measurement import Failure, Measurement, alive, taken, ticks
from tests.bench.rebooting import ACROSS, reboots
from tests.lab import build
from tests.lab.errors import CommandError, DeadlineError
from tests.lab.host import Host, Options, start
from tests.lab.install import with_drainer
from tests.lab.machine import Hardware
from tests.lab.say import say, step

CHECKOUT = Path(__file__).parents[2]
INSIDE = Path(__file__).with_name("inside")
HARDWARE = Hardware(memory=6144, cpus=2)
SECONDS = 1800.0
VERSIONS = (
    "echo kernel $(uname -r)",
    "docker version --format 'Docker {{.Server.Version}}'",
    "podman --version | sed s/podman.version/Podman/",
    "runc --version | sed -n s/runc.version/runc/p",
    "criu --version | sed -n s/Version:/CRIU/p",
    "drainer --version",
)
START = {
    "docker": "docker run -d --name {0.name} {0.options} {0.image} {0.command}",
    "podman": "podman --runtime runc run -d --name {0.name} {0.options} {0.image} {0.command}",
    "process": "setsid {0.command} </dev/null >/dev/null 2>&1 & echo $! >/srv/pids/{0.name}",
}
END = {
    "docker": "docker ps -aq | xargs -r docker rm -f",
    "podman": "podman rm -a -f -t 0",
    "process": "cat /srv/pids/* | xargs -r kill -9; rm -f /srv/pids/*",
}


class BrokenError(Exception):
    """A way did not do what it is for."""


def round_trip(host: Host, case: Case, way: Way) -> Measurement:
    """Take all programs down in one way and bring them back."""
    if way.configuration:
        host.write("/etc/drainer/config.yaml", way.configuration)
    host.run(f"rm -rf /srv/images; {way.before or 'true'}", SECONDS)
    host.write("/srv/bench/down", way.down)
    host.write("/srv/bench/up", way.up)
    up = "/srv/bench/up" if way.up else ""
    # One that is watched tells when its freeze has ended.
    watched = case.programs[0].command.partition(" ")[2] if case.fine else ""
    meter = f"python3 /srv/bench/meter.py '{way.images}' '{watched}' /srv/bench/down {up}"
    told = json.loads(host.output(meter, SECONDS))
    for half in ("down", "up"):
        if told.get(half, {}).get("status"):
            words = host.output("tail -n 1 /srv/bench/output")
            raise BrokenError(f"{half}: {words}")
    frozen: float | None = None
    away: dict[str, float] = {}
    if way.up:
        frozen, away = _absence(host, case, way, told["down"], told["up"])
    host.run(way.after, SECONDS)
    return Measurement(
        case.name,
        way.name,
        taken(told["down"]),
        taken(told["up"]) if way.up else None,
        told["kib"],
        frozen if case.fine else None,
        tuple(round(seconds, 2) for _, seconds in sorted(away.items())),
    )


def _absence(
    host: Host, case: Case, way: Way, down: dict[str, Any], up: dict[str, Any]
) -> tuple[float, dict[str, float]]:
    """Wait for all programs; return how long the first was frozen, and how long each was away."""
    try:
        host.wait_until(alive((p.name for p in case.programs), up["end"]), 300)
    except DeadlineError as error:
        raise BrokenError("a program did not come back") from error
    seen = ticks(host, down["begin"])
    # Between the halves the meter looked at the checkpoints, and all were down.
    between = up["begin"] - down["end"]
    away = {name: max(b - a for a, b in pairwise(t)) - between for name, t in seen.items()}
    last = max(t for t in seen[case.programs[0].name] if t <= down["end"])
    end = down["gone"] if case.fine and way.durable else down["end"]
    if end is None:
        raise BrokenError("a program was not seen to end")
    return round(end - last, 2), away


@contextmanager
def programs(host: Host, case: Case, engine: str) -> Iterator[None]:
    """Have the programs of a case run."""
    host.run("mkdir -p /srv/ticks /srv/pids && rm -f /srv/ticks/* /srv/pids/*")
    try:
        for program in case.programs:
            _start(host, program, engine)
        if case.probes:
            probes = " ".join(case.probes)
            host.run(f"setsid python3 /srv/bench/prober.py {probes} </dev/null >/dev/null 2>&1 &")
        for program in case.programs:
            host.wait_until(f"[ $(wc -l </srv/ticks/{program.name}) -gt 3 ]", 300)
        yield
    finally:
        host.run("pkill -f [p]rober.py || true")
        host.run(END[engine], SECONDS)


def _start(host: Host, program: Program, engine: str) -> None:
    host.run(START[engine].format(program) + (" >/dev/null" if engine != "process" else ""), 300)
    if program.before:
        host.run(program.before, SECONDS)


def measure(host: Host, case: Case, rounds: int) -> Iterator[Measurement | Failure]:
    """Measure a case in all its ways: those of one engine in turn, each round the other way round.

    What has failed once is left out from then on, and the others are begun anew.
    """
    for engine in dict.fromkeys(way.engine for way in case.ways):
        ways = [way for way in case.ways if way.engine == engine]
        while ways:
            way = ways[0]
            try:
                with programs(host, case, engine):
                    for number in range(rounds):
                        for way in tuple(ways):
                            if not number or way not in case.once:
                                yield round_trip(host, case, way)
                        ways.reverse()
                break
            except (BrokenError, CommandError, DeadlineError) as error:
                yield Failure(case.name, way.name, str(error).partition("\n")[0])
                ways.remove(way)


def prepare(host: Host) -> None:
    """Bring the programs, and the images for Podman."""
    host.copy_to(INSIDE, "/srv/bench")
    with step("images for Podman"):
        host.run("docker save lab/busybox lab/python | podman load -q", SECONDS)
    with step("a first time, which counts for nothing"):
        for way in (LOOP, DRAINER, PODMAN, CRIU):
            list(measure(host, Case("", small(1), (way,)), 1))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.run", description=__doc__)
    parser.add_argument("--case", action="append", choices=[case.name for case in (*CASES, ACROSS)])
    parser.add_argument("--rounds", type=int, help="in place of those of each case")
    parser.add_argument("--to", type=Path, default=Path("measurements.jsonl"))
    arguments = parser.parse_args()
    image = with_drainer(build.image("bench"), CHECKOUT)
    options = Options(hardware=HARDWARE, experimental=True)
    with start(image, options) as host, arguments.to.open("a") as file:
        prepare(host)
        versions = [host.output(command) for command in VERSIONS]
        file.write(json.dumps({"versions": versions}) + "\n")
        for case in (*CASES, ACROSS):
            if arguments.case and case.name not in arguments.case:
                continue
            rounds = arguments.rounds or case.rounds
            how = reboots if case is ACROSS else measure
            with step(case.name):
                for measurement in how(host, case, rounds):
                    file.write(json.dumps(asdict(measurement)) + "\n")
                    file.flush()
                    say(_line(measurement))


def _line(m: Measurement | Failure) -> str:
    if isinstance(m, Failure):
        return f"  {m.way}: failed: {m.failed}"
    up = f"{m.up.seconds:.1f}" if m.up else "-"
    away = f"{statistics.median(m.away):.1f}" if m.away else "-"
    return f"  {m.way}: down {m.down.seconds:.1f} s, up {up} s, away {away} s, {m.kib >> 10} MiB"


if __name__ == "__main__":
    main()
