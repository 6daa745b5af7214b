"""Break a real host in the middle of a drain or a resume, again and again, and count.

`python -m tests.lab.campaign [--rounds N] [--fault NAME] [--suite SUITE]`.
Each round has a number, which decides what breaks and when. Rounds that this checkout has behind it
are not repeated, so that a campaign can be ended and carried on at any time; the table is of all
its rounds.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.lab import build
from tests.lab.cache import cache_dir
from tests.lab.errors import LabError
from tests.lab.faults import FAULTS, OTHERS, POWER_CUT, Fault, strike
from tests.lab.host import Host, Image, start
from tests.lab.install import with_drainer
from tests.lab.recipe import RECIPES
from tests.lab.say import say
from tests.lab.verdict import Findings, Shown, Told, judge
from tests.lab.workloads import numbers, start_all

CHECKOUT = Path(__file__).parents[2]
LIMIT = 900.0
"""Seconds for a drain or a resume, whatever breaks."""
WORKLOADS = (
    numbers("one", "--restart always"),
    numbers("two", "--restart unless-stopped"),
    numbers("three", "--restart on-failure"),
    numbers("four", "--network container:one --restart always"),
)
TIMEOUT = 40.0
"""Seconds that drainer gives each container, so that a hung CRIU does not cost five minutes."""
PHASES = ("drain", "resume")
ENDS = ("resume", "reboot")
DEBRIS = """\
find /usr/local/sbin /run/drainer -mindepth 1 2>/dev/null
pgrep -a 'criu|^runc'
ls -d /tmp/ctrd-checkpoint* 2>/dev/null
docker ps -aq --filter label=drainer.placeholder
find /sys/fs/cgroup -path '*docker*' -name cgroup.freeze -exec grep -l 1 {} + 2>/dev/null
true
"""


@dataclass(frozen=True)
class Round:
    """What one round does: its number decides everything."""

    number: int
    phase: str
    fault: str
    end: str
    moment: float
    """When it breaks, as a part of how long the phase takes undisturbed."""


def plan(number: int) -> Round:
    """Let each second round be a power cut; go through all else in turn, the moment by lot."""
    lot = random.Random(number)  # noqa: S311 - no secret
    turn, other = divmod(number, 2)
    half = turn // len(OTHERS)
    return Round(
        number,
        phase=PHASES[(half if other else turn) % len(PHASES)],
        fault=(OTHERS[turn % len(OTHERS)] if other else POWER_CUT).name,
        end=ENDS[half // len(PHASES) % len(ENDS)] if other else "reboot",
        moment=round(lot.random(), 3),
    )


def look(host: Host) -> dict[str, Shown]:
    """Ask Docker for the containers, and their logs twice."""
    names = [w.name for w in WORKLOADS]
    first = {name: _log(host, name) for name in names}
    time.sleep(3)
    lines = host.output(
        "docker inspect -f '{{.Name}} {{.State.Running}} {{.State.Paused}}"
        " {{.HostConfig.RestartPolicy.Name}} {{.State.StartedAt}}' " + " ".join(names) + " || true"
    ).splitlines()
    seen = {}
    for name, running, paused, policy, started in (
        line.removeprefix("/").split() for line in lines
    ):
        log = _log(host, name)
        advances = len(log) > len(first[name])
        seen[name] = Shown(running == "true", paused == "true", policy, log, advances, started)
    return seen


def _log(host: Host, name: str) -> tuple[int, ...]:
    """Read the numbers in a container's log file itself.

    What was not on disk at a power cut is there as zeros, behind which `docker logs` reads nothing.
    """
    path = f"$(docker inspect -f '{{{{.LogPath}}}}' {name})"
    numbers = """sed -nE 's/.*"log":"([0-9]+)[^0-9].*/\\1/p'"""
    text = host.output(f"tr -d '\\000' <{path} | {numbers} || true")
    return tuple(int(word) for word in text.split())


def play(host: Host, this: Round, seconds: dict[str, float]) -> tuple[Findings, bool]:
    """Play a round; return what came of it, and whether it ended within its time."""
    fault = next(f for f in FAULTS if f.name == this.fault)
    host.run("docker ps -aq | xargs -r docker rm -f; rm -f /root/full", 120)
    start_all(host, WORKLOADS)
    time.sleep(2)
    before = look(host)
    if this.phase == "resume":
        host.run("drainer drain", LIMIT)
    command = f"drainer {this.phase} --container-timeout {TIMEOUT:g}"
    in_time = strike(host, fault, command, this.moment * seconds[this.phase], LIMIT)
    _recover(host, fault, this.end)
    status = json.loads(host.output("drainer status --json", 120))
    ids = set(host.output("docker ps -aq --no-trunc").split())
    touched = (e for e in status["manifest"]["entries"] if e["id"] in ids and "held" in e["times"])
    told = {
        e["name"]: Told(e["state"], e["started_at"], e["times"].get("restored", ""))
        for e in touched
    }
    return judge(before, look(host), told, tuple(host.output(DEBRIS).splitlines())), in_time


def _recover(host: Host, fault: Fault, end: str) -> None:
    """Boot or resume, as an operator or the host would. Raises `LabError` when that is late."""
    if fault.cuts_power:
        host.power_on(LIMIT)
    elif end == "reboot":
        host.run("rm -f /root/full")
        host.reboot(timeout=LIMIT)
    else:
        host.run("rm -f /root/full; drainer resume", LIMIT, check=False)
        return
    # A unit that failed is tried again 20 seconds later.
    unit = "systemctl is-active drainer-resume.service"
    host.wait_until(f"! {unit} | grep -q activating && echo done", LIMIT)


def measure(host: Host) -> dict[str, float]:
    """Time both phases undisturbed, in seconds."""
    start_all(host, WORKLOADS)
    seconds = {}
    for phase in PHASES:
        begin = time.monotonic()
        host.run(f"drainer {phase}", LIMIT)
        seconds[phase] = time.monotonic() - begin
    return seconds


def record_of(image: Image) -> Path:
    """Return where the rounds of a checkout on a suite are noted, one JSON object a line."""
    layer = image.layer.stem if image.layer else image.directory.name
    return cache_dir() / f"campaign-{image.suite}-{layer}.jsonl"


def table(lines: list[dict[str, object]]) -> str:
    """Sum rounds up: for each fault the rounds, and what became of the containers."""
    columns = ("rounds", "kept", "cold", "lost", "twice", "policies", "misreported", "debris")
    sums: dict[str, Counter[str]] = {}
    for line in lines:
        row = sums.setdefault(f"{line['fault']} in {line['phase']}", Counter())
        row["rounds"] += 1
        row["late"] += not line["in_time"]
        for column in columns[1:]:
            value = line[column]
            row[column] += value if isinstance(value, int) else len(value)  # type: ignore[arg-type]
    total = sum(sums.values(), Counter())
    head = ["fault", *columns, "late"]
    rows = [[name, *(str(row[c]) for c in head[1:])] for name, row in sorted(sums.items())]
    rows.append(["all", *(str(total[c]) for c in head[1:])])
    rule = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def main() -> int:
    """Play rounds until enough are noted; return 1 if the promise was broken in any."""
    parser = argparse.ArgumentParser(prog="tests/campaign", description=__doc__)
    parser.add_argument("--rounds", type=int, default=64)
    parser.add_argument("--fault", choices=[f.name for f in FAULTS], help="only its rounds")
    parser.add_argument("--suite", default="forky", choices=sorted(RECIPES))
    arguments = parser.parse_args()
    image = with_drainer(build.image(arguments.suite), CHECKOUT)
    record = record_of(image)
    lines = (
        [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    )
    done = {line["number"] for line in lines}
    rounds = map(plan, range(arguments.rounds))
    left = [r for r in rounds if r.number not in done and arguments.fault in {None, r.fault}]
    while left:
        with ExitStack() as stack:
            host = stack.enter_context(start(image))
            host.run("drainer install --enable", 120)
            seconds = measure(host)
            while left:
                this = left.pop(0)
                try:
                    findings, in_time = play(host, this, seconds)
                except LabError as error:
                    findings, in_time = Findings(lost=(str(error)[:300],)), False
                line = asdict(this) | asdict(findings) | {"in_time": in_time}
                lines.append(json.loads(json.dumps(line)))
                with record.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                well = findings.well and in_time
                say(f"{this}: {'well' if well else f'BROKEN: {findings}'}")
                if not well:
                    host.collect(cache_dir() / "failed" / f"campaign-{this.number}")
                    break
    sys.stdout.write(table(lines) + "\n")
    broken = ("lost", "twice", "policies", "misreported", "debris")
    return int(any(not line["in_time"] or any(line[b] for b in broken) for line in lines))


if __name__ == "__main__":
    sys.exit(main())
