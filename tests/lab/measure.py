"""Time drain and resume beside a plain shell loop, on one host in one run.

`python -m tests.lab.measure [SUITE]` prints a Markdown table for `docs/findings.md`.
"""

import sys
from pathlib import Path

from tests.lab import build
from tests.lab.host import Host, Options, start
from tests.lab.install import with_drainer
from tests.lab.workloads import numbers, start_all

CHECKOUT = Path(__file__).parents[2]
ROUNDS = {1: 2, 5: 2, 20: 1}
"""How often each number of containers is taken down and up, each way in turn."""
TIMEOUT = 1800.0

LOOP_DOWN = "for c in $(docker ps -q); do docker checkpoint create $c loop >/dev/null; done"
LOOP_UP = (
    "for c in $(docker ps -aq); do docker start --checkpoint loop $c >/dev/null; done;"
    " for c in $(docker ps -q); do docker checkpoint rm $c loop; done"
)
TASKS = {
    "loop": (LOOP_DOWN, LOOP_UP),
    "drainer": ("drainer drain >/dev/null 2>&1", "drainer resume >/dev/null 2>&1"),
}


def timed(host: Host, command: str) -> float:
    """Run a command in the guest and return its seconds there."""
    script = f"a=$(date +%s%N); {command}; b=$(date +%s%N); echo $(((b-a)/1000000))"
    return int(host.output(script, TIMEOUT).split()[-1]) / 1000


def measure(host: Host, count: int) -> dict[str, tuple[float, float]]:
    """Return the least seconds down and up of each way, over rounds in turn."""
    best = dict.fromkeys(TASKS, (float("inf"), float("inf")))
    for _ in range(ROUNDS[count]):
        for way, (down, up) in TASKS.items():
            seconds = (timed(host, down), timed(host, up))
            best[way] = (min(best[way][0], seconds[0]), min(best[way][1], seconds[1]))
            if (alive := len(host.output("docker ps -q").split())) != count:
                sys.exit(f"{way} lost {count - alive} of {count} containers")
            host.run("rm -rf /tmp/ctrd-checkpoint*")
    return best


def main() -> None:
    """Measure all counts and print the table."""
    suite = sys.argv[1] if len(sys.argv) > 1 else "trixie"
    rows = ["| containers | loop down | drain | loop up | resume |", "|---|---|---|---|---|"]
    with start(with_drainer(build.image(suite), CHECKOUT), Options(experimental=True)) as host:
        running = 0
        for count in ROUNDS:
            start_all(host, tuple(numbers(f"n{i}") for i in range(running, count)))
            running = count
            best = measure(host, count)
            cells = (best[way][half] for half in (0, 1) for way in TASKS)
            rows.append(f"| {count} | " + " | ".join(f"{c:.1f} s" for c in cells) + " |")
            sys.stderr.write(rows[-1] + "\n")
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
