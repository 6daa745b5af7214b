"""Show drainer's job on a disposable host: real programs, a real reboot, before and after.

`python -m tests.lab.demo [SUITE]`. Ends with 0 if everything came back as promised.
"""

import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import build
from tests.lab.host import Host, start
from tests.lab.install import with_drainer
from tests.lab.say import step
from tests.lab.workloads import (
    Workload,
    nginx,
    number_log,
    numbers,
    policies,
    redis,
    service,
    service_state,
    start_all,
)

CHECKOUT = Path(__file__).parents[2]
WORKLOADS = (
    redis("redis"),
    service("counter", 9001),
    nginx("web", 8080),
    numbers("always", "--restart always"),
    Workload("terminal", "lab/busybox", "sh", "-t -i --restart always"),
)
KEYS = 1000
FEW = 3


def tell(text: str) -> None:
    """Write a line of the story."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Seen:
    """What one look at the host told, in words for the table and as values to compare."""

    boot: str
    words: dict[str, str]
    keys: int
    token: str
    count: int
    log: list[int]
    terminal: str
    policies: dict[str, str]


def look(host: Host) -> Seen:
    """Ask every program what it has in memory."""
    keys = int(host.output("docker exec redis redis-cli dbsize"))
    token, count = service_state(host, 9001)
    web = host.wait_until("curl -s -o /dev/null -w %{http_code} -m 5 http://127.0.0.1:8080/")
    log = number_log(host, "always")
    terminal = host.output("docker inspect -f '{{.State.StartedAt}}' terminal")
    words = {
        "redis": f"{keys} keys, never saved",
        "counter": f"token {token[:8]}, at {count}",
        "web": f"HTTP {web} on port 8080",
        "always": f"{series(log)}, policy {policies(host)['always']}",
        "terminal": f"started {terminal[11:19]}",
    }
    return Seen(host.boot_id(), words, keys, token, count, log, terminal, policies(host))


def series(log: list[int]) -> str:
    """Describe a log that should be 1, 2, 3, ... without gap or repetition."""
    whole = log == list(range(1, len(log) + 1))
    return f"log 1..{len(log)}" if whole else "log BROKEN"


def judge(before: Seen, after: Seen, states: dict[str, str]) -> dict[str, bool]:
    """Tell for each container whether the promise was kept."""
    return {
        "redis": after.keys == before.keys == KEYS and states["redis"] == "restored",
        "counter": after.token == before.token and after.count > before.count,
        "web": after.words["web"] == before.words["web"] and states["web"] == "restored",
        "always": after.log == list(range(1, len(after.log) + 1))
        and after.policies["always"] == "always"
        and states["always"] == "restored",
        "terminal": after.terminal != before.terminal and states["terminal"] == "left",
    }


@contextmanager
def console_shown(host: Host) -> Iterator[None]:
    """Show what drainer says on the host's console meanwhile."""
    ended = threading.Event()

    def watch() -> None:
        shown = len(host.console())
        while not ended.wait(0.5):
            text = host.console()
            whole = text.rfind("\n") + 1
            for line in re.findall(r"drainer: (.*\S)", text[shown:whole]):
                tell(f"    console: {line}")
            shown = max(shown, whole)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def typed(host: Host, command: str, timeout: float = 180) -> None:
    """Run a command as an operator would, and show it with its output."""
    tell(f"\nhost# {command}")
    result = host.run(command, timeout, check=False)
    tell((result.stdout + result.stderr).rstrip())


def show(before: Seen, after: Seen, entries: dict[str, dict[str, str]]) -> bool:
    """Print the table of before and after; tell whether all is well."""
    states = {name: entry["state"] for name, entry in entries.items()}
    kept = judge(before, after, states)
    tell(f"\nboot id  {before.boot}\n     ->  {after.boot}\n")
    rows = [("CONTAINER", "BEFORE THE REBOOT", "AFTER THE REBOOT", "OUTCOME")]
    for name, well in kept.items():
        reason = entries[name]["skip_reason"]
        outcome = f"skipped: {reason}" if reason else states[name]
        verdict = "ok  " if well else "BAD "
        rows.append((name, before.words[name], after.words[name], verdict + outcome))
    widths = [max(len(row[column]) for row in rows) for column in range(FEW)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        tell("  ".join((*cells, row[-1])))
    return all(kept.values()) and before.boot != after.boot


def main() -> None:
    """Tell the story."""
    suite = sys.argv[1] if len(sys.argv) > 1 else "forky"
    image = with_drainer(build.image(suite), CHECKOUT)
    with start(image) as host:
        well = story(host)
    tell("\nEverything came back as promised." if well else "\nSomething was lost: see above.")
    sys.exit(0 if well else 1)


def story(host: Host) -> bool:
    """Install, start programs, reboot, compare."""
    typed(host, "docker version --format 'Docker {{.Server.Version}}'")
    typed(host, "drainer install --enable")
    tell("")
    with step("starting redis, a python service, nginx and two more"):
        start_all(host, WORKLOADS)
        keys = f"for i in $(seq {KEYS}); do echo set key$i value$i; done"
        host.run(f"{keys} | docker exec -i redis redis-cli >/dev/null", 120)
        before = look(host)
    typed(host, "drainer plan")
    tell("\nhost# systemctl reboot")
    with console_shown(host), step("rebooting"):
        host.reboot(timeout=900)
    after = look(host)
    typed(host, "drainer status")
    manifest = json.loads(host.output("drainer status --json", 120))["manifest"]
    return show(before, after, {e["name"]: e for e in manifest["entries"]})


if __name__ == "__main__":
    main()
