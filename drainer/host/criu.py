"""Ask the installed CRIU what it is and what it can do."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from drainer.criu_options import TRACKING
from drainer.host.run import TIMED_OUT, Result, Runner
from drainer.text import printable

CONFIGURATION = Path("/etc/criu/runc.conf")
"""What runc hands to CRIU, unless an annotation names another file (runc criu_linux.go)."""

FEATURES = ("seccomp_filters", "seccomp_suspend")
"""What `criu check --feature` is asked for (criu cr-check.c)."""

_SECONDS = 60.0
_OLD = "3."
"""Of these versions a distribution may have one with later versions' mends."""
_PACKAGE = re.compile("[a-z0-9][a-z0-9.+-]*")
_MAX_CONFIGURATION = 1 << 16
_LACKS_EXTRAS = "Looks good but some kernel features are missing"


@dataclass(frozen=True, slots=True)
class Criu:
    """One CRIU. An empty version means that there is none."""

    version: str = ""
    problem: str = ""
    features: tuple[str, ...] = ()
    package: str = ""


def probe(search_path: str, run: Runner) -> Criu:
    """Look for `criu` in `search_path` (as in PATH) and question it, each time for a minute."""
    program = shutil.which("criu", path=search_path)
    if program is None:
        return Criu()
    version = parse_version(run([program, "--version"], _SECONDS).output)
    problem = parse_check(run([program, "check"], _SECONDS))
    features = tuple(
        name
        for name in (*FEATURES, TRACKING)
        if run([program, "check", "--feature", name], _SECONDS).status == 0
    )
    package = _package(program, run) if version.startswith(_OLD) else ""
    return Criu(version, problem, features, package)


def _package(program: str, run: Runner) -> str:
    """Return the version of the Debian package that a program is of; empty if of none."""
    owner = run(["dpkg-query", "--search", program], _SECONDS)
    name = owner.output.partition(":")[0]
    if owner.status or not _PACKAGE.fullmatch(name):
        return ""
    found = run(["dpkg-query", "--show", "--showformat=${Version}", name], _SECONDS)
    return "" if found.status else printable(found.output.strip())


def parse_version(output: str) -> str:
    """Return the version from `criu --version`: a line `Version: 4.1.1`, perhaps `GitID: ...`."""
    found = re.search(r"^Version:\s*(\d+(?:\.\d+)*)", output, re.MULTILINE)
    return found[1] if found else ""


def parse_check(result: Result) -> str:
    """Return the line with which `criu check` refused, or an empty string.

    It also ends with a status other than 0 when only features are missing that an ordinary
    container does not need; that is no refusal. Neither is silence on a busy host: a refusal at
    boot would cost every container its memory.
    """
    if result.status == TIMED_OUT:
        return ""
    lines = [s for s in f"{result.output}\n{result.errors}".splitlines() if s.strip()]
    if result.status == 0 or any(line.startswith(_LACKS_EXTRAS) for line in lines):
        return ""
    errors = [line for line in lines if line.lstrip().startswith("Error")] or lines
    return printable(errors[-1].strip()) if errors else f"exit status {result.status}"


def options(path: Path = CONFIGURATION) -> tuple[str, ...]:
    """Return the names of the options set in a CRIU configuration file; none if unreadable."""
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_CONFIGURATION).decode("utf-8", "replace")
    except OSError:
        return ()
    return parse_options(text)


def parse_options(text: str) -> tuple[str, ...]:
    """Return option names: one in each line, without dashes, a value after space or `=`."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    names = (re.split(r"[\s=]", line, maxsplit=1)[0] for line in lines if line)
    return tuple(dict.fromkeys(names))
