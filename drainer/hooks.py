"""The operator's own programs, told what happens to containers.

Nothing that a container says is run. Each is called with the name of what happens as its one
argument, and with JSON on its stdin.
"""

import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from drainer.deadline import Deadline
from drainer.files import others_can_write
from drainer.host.run import TIMED_OUT, run_with
from drainer.manifest import Entry, Manifest, State
from drainer.model import Plan
from drainer.sentences import is_news
from drainer.text import printable

DIRECTORY = Path("/etc/drainer/hooks.d")
SECONDS = 10
"""How long each may take, unless it is configured otherwise."""

BEFORE_DRAIN = "before-drain"
AFTER_DRAIN = "after-drain"
BEFORE_RESUME = "before-resume"
AFTER_RESUME = "after-resume"
OF_STATES = {
    State.HELD: "container-before-drain",
    State.STOPPED: "container-drained",
    State.RESTORED: "container-restored",
    State.STARTED_COLD: "container-started-cold",
    State.LEFT: "container-left",
}
"""What a container's new state is called for hooks; of other states they are not told."""

_LEAST_SECONDS = 1.0
_SHARE = 0.1
"""How much of a budget is for hooks: what they take is not there for containers."""
_KEPT_SECONDS = 60.0
"""What is left of a budget for the container that a hook is about."""
_FORMAT_VERSION = "1.0"


class Hooks:
    """The programs in one directory. Their failures are said, and change nothing."""

    def __init__(
        self,
        say: Callable[[str], None],
        deadline: Deadline,
        seconds: float = SECONDS,
        directory: Path | None = None,
    ) -> None:
        """Tell problems to `say`; give each program `seconds`, and no more than are left."""
        self._say = say
        self._deadline = deadline
        self._seconds = seconds
        self._directory = DIRECTORY if directory is None else directory
        self._last: dict[str, str] = {}
        left = deadline.left
        self._allowance = None if left is None else left * _SHARE
        """Seconds that all of them together have left; None without a budget."""
        self._hung: set[str] = set()
        """Names of those that were ended once: another call could cost a container its time."""

    def of_plan(self, plan: Plan) -> None:
        """Tell that a drain is about to begin."""
        planned = [
            {
                "id": e.container.id,
                "name": e.container.name,
                "image": e.container.image,
                "verdict": e.verdict,
            }
            for e in plan.entries
        ]
        self._call(BEFORE_DRAIN, {"containers": planned})

    def of_manifest(self, event: str, manifest: Manifest) -> None:
        """Tell that a drain has ended, or a resume begins or has ended."""
        self._call(
            event,
            {
                "drain_id": manifest.drain_id,
                "trigger": manifest.trigger,
                "reason": manifest.reason,
                "by": manifest.by,
                "containers": [_container(entry) for entry in manifest.entries],
            },
        )

    def of_container(self, entry: Entry) -> None:
        """Tell, once, that a container has come to a state, if hooks are told of that."""
        event = OF_STATES.get(entry.state, "")
        if entry.state in {State.HELD, State.STOPPED} and not is_news(entry):
            return
        if event and self._last.get(entry.id) != event:
            self._last[entry.id] = event
            self._call(event, {"container": _container(entry)})

    def _call(self, event: str, content: dict[str, object]) -> None:
        document = {"format_version": _FORMAT_VERSION, "event": event, **content}
        data = json.dumps(document).encode("ascii")
        for program in self._programs():
            if program.name in self._hung:
                continue
            limit = self._limit()
            if limit < _LEAST_SECONDS or self._deadline.interrupted:
                self._say(f"hook {program.name} {event}: not run, as no time is left for hooks")
                continue
            begin = time.monotonic()
            result = run_with(
                [str(program), event], limit, data, lambda: self._deadline.interrupted, _unprotect
            )
            if self._allowance is not None:
                self._allowance -= time.monotonic() - begin
            if result.status == TIMED_OUT:
                self._hung.add(program.name)
                self._say(
                    f"hook {program.name} {event}: ended after {limit:.0f} s, and not called again"
                )
            elif result.status:
                words = (result.errors or result.output).strip().partition("\n")[0]
                self._say(f"hook {program.name} {event}: exit code {result.status}: {words}")

    def _limit(self) -> float:
        seconds = self._seconds if self._allowance is None else min(self._seconds, self._allowance)
        left = self._deadline.left
        return seconds if left is None else min(seconds, left - _KEPT_SECONDS)

    def _programs(self) -> Iterator[Path]:
        """Yield those that root alone can have put there, by name; say which are not."""
        try:
            real = self._directory.resolve(strict=True)
            for place in (real, *real.parents):
                if problem := _problem(place.stat()):
                    self._say(f"no hook is run: {place}: {problem}")
                    return
            found = sorted(self._directory.iterdir())
        except OSError:
            return
        for program in found:
            # What editors and packages leave, as run-parts(8) passes over it.
            if program.name.startswith(".") or program.name.endswith(("~", ".bak", ".dpkg-old")):
                continue
            try:
                # A link could be put upon another program after this look.
                facts = program.lstat()
            except OSError:
                continue
            if not stat.S_ISREG(facts.st_mode) or not facts.st_mode & stat.S_IXUSR:
                continue
            if problem := _problem(facts):
                self._say(f"hook {printable(program.name)} is not run: {problem}")
            else:
                yield program


def _problem(facts: os.stat_result) -> str:
    return "others than root can write it" if others_can_write(facts) else ""


def _unprotect(pid: int) -> None:
    """Let a hook be killed for want of memory as any other program, and drainer not for it."""
    with suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("0")


def _container(entry: Entry) -> dict[str, object]:
    return {
        "id": entry.id,
        "name": entry.name,
        "image": entry.image,
        "state": entry.state,
        "skip_reason": entry.skip_reason,
        "detail": entry.detail,
    }
