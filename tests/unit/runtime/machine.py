"""A fake runc, and a place for the real stand-in before it, on this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import Any

from drainer.runtime.base import Order, Place
from drainer.runtime.guard import Guard
from drainer.runtime.runc import Runc
from drainer.runtime.stand_in import in_place
from tests.unit.runtime.iptables import FakeIptables

ID = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4
PATIENCE = 10.0

_FAKE = """\
#!/bin/sh
printf '%s\\0' "$#" "$@" >> {here}/calls
umask > {here}/umask
grep SigIgn "/proc/$$/status" > {here}/ignored
for word; do
    case $word in
    restore) exec {python} -I -S {here}/restore.py {here} "$@" ;;
    checkpoint) exec {python} -I -S {here}/checkpoint.py {here} "$@" ;;
    esac
done
if [ -e {here}/script ]; then . {here}/script; fi
exit "$(cat {here}/status 2>/dev/null || echo 0)"
"""

# As runc does it: the state directory must not exist, and hooks get a state and no environment.
_RESTORE = """\
import json, os, sys, time
here, arguments = sys.argv[1], sys.argv[2:]
with open(here + "/plan.json") as file:
    plan = json.load(file)
bundle, name = arguments[arguments.index("--bundle") + 1], arguments[-1]
os.mkdir(arguments[arguments.index("--root") + 1] + "/" + name)
with open(here + "/environment.json", "w") as file:
    json.dump(dict(os.environ), file)
time.sleep(plan.get("before", 0))
if "refuse" in plan:
    sys.exit(plan["refuse"])
with open(bundle + "/config.json") as file:
    hooks = json.load(file)["hooks"]["createRuntime"]
state = json.dumps({"ociVersion": "1.2.0", "id": name, "pid": os.getpid(), "bundle": bundle})
for hook in hooks:
    read, write = os.pipe()
    os.write(write, state.encode())
    os.close(write)
    files = [(os.POSIX_SPAWN_DUP2, read, 0)]
    pid = os.posix_spawn(hook["path"], hook["args"], {}, file_actions=files)
    if os.waitpid(pid, 0)[1]:
        open(here + "/hook-failed", "w").close()
        sys.exit(1)
time.sleep(plan.get("after", 0))
sys.exit(plan.get("status", 0))
"""

_CHECKPOINT = """\
import json, os, sys, time
here, arguments = sys.argv[1], sys.argv[2:]
with open(here + "/plan.json") as file:
    plan = json.load(file)
def value(option):
    return arguments[arguments.index(option) + 1]
with open(here + "/environment.json", "w") as file:
    json.dump(dict(os.environ), file)
for option, name, text in (
    ("--image-path", "inventory.img", "x"),
    ("--image-path", "pages-1.img", plan.get("pages")),
    ("--work-path", "dump.log", plan.get("dump.log")),
    ("--log", "", plan.get("log")),
):
    if text is not None:
        with open(os.path.join(value(option), name) if name else value(option), "w") as file:
            file.write(text)
if "child" in plan:
    import subprocess
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with open(here + "/child", "w") as file:
        file.write(str(child.pid))
if "files" in plan:
    # As CRIU: it holds the directory open, and fails when it cannot make its next file.
    images = os.open(value("--image-path"), os.O_DIRECTORY)
    for number in range(600):
        time.sleep(0.01)
        os.close(os.open("core-%d.img" % number, os.O_WRONLY | os.O_CREAT, dir_fd=images))
time.sleep(plan.get("sleep", 0))
open(here + "/ended", "w").close()
sys.exit(plan.get("status", 0))
"""


def until(condition: Callable[[], object]) -> None:
    """Wait until something has come true; fail if it does not."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it has not come true"
        time.sleep(0.005)


def alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


class Machine:
    """A fake runc that notes its calls, and one container's bundle."""

    def __init__(self, here: Path) -> None:
        self.here = here
        self.first, self.second = here / "sbin", here / "bin"
        self.root, self.bundle = here / "root" / "moby", here / "bundle" / ID
        self.orders = here / "run" / "restores"
        self.order = self.orders / ID
        self.path, self.file = self.first / "runc", self.second / "runc"
        for directory in (self.first, self.second, self.root, self.bundle):
            directory.mkdir(parents=True)
        self.write_runc(_FAKE.format(here=quote(str(here)), python=quote(sys.executable)))
        (here / "restore.py").write_text(_RESTORE)
        (here / "checkpoint.py").write_text(_CHECKPOINT)
        self.plan()
        self.iptables = FakeIptables()
        self.place = Place(here / "checkpoints" / "drain" / ID)
        guard = Guard(here, self.iptables.run, self.iptables.feed)
        self.runc = Runc(
            str(self.file),
            str(self.path),
            f"{self.first}:{self.second}",
            guard,
            self.orders,
        )
        self.configure({})
        self.started: list[subprocess.Popen[bytes]] = []

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the last restore or checkpoint was called with."""
        found: dict[str, str] = json.loads((self.here / "environment.json").read_text())
        return found

    def write_runc(self, text: str) -> None:
        """Put another runc in place, as an upgrade does."""
        new = self.file.with_name("new")
        new.write_text(text)
        new.chmod(0o755)
        new.replace(self.file)

    def plan(self, **plan: object) -> None:
        """Say how a restore or a checkpoint goes."""
        (self.here / "plan.json").write_text(json.dumps(plan))

    def configure(self, spec: Mapping[str, object]) -> None:
        """Write the bundle's configuration, as the engine does before `create`."""
        (self.bundle / "config.json").write_text(json.dumps(spec))

    @property
    def spec(self) -> dict[str, Any]:
        """The bundle's configuration as it is now."""
        found: dict[str, Any] = json.loads((self.bundle / "config.json").read_text())
        return found

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of each call of the real runc."""
        try:
            words = (self.here / "calls").read_text().split("\0")
        except FileNotFoundError:
            return []
        calls, place = [], 0
        while words[place]:
            count = int(words[place])
            calls.append(words[place + 1 : place + 1 + count])
            place += 1 + max(count, 0)
        return calls

    @property
    def verbs(self) -> list[str]:
        """The verb of each call of the real runc."""
        known = ("create", "restore", "start", "kill", "delete", "state", "exec")
        return [next(word for word in call if word in known) for call in self.calls]

    def lay_out(self, seconds: float = 8.0, flags: Sequence[str] = ()) -> None:
        """Order the container's restore, from a checkpoint that is there."""
        self.place.path.mkdir(parents=True, exist_ok=True)
        self.place.unused.touch()
        self.runc.lay_out(Order(ID, str(self.root), self.place, seconds, flags))

    def command(self, verb: str, *arguments: str) -> list[str]:
        """Return what containerd's shim runs."""
        log = str(self.here / "log.json")
        shared = ("--root", str(self.root), "--log", log, "--log-format", "json")
        return [str(self.path), *shared, "--systemd-cgroup", verb, *arguments, ID]

    def begin(self, verb: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Call runc, as containerd's shim does."""
        process = subprocess.Popen(
            self.command(verb, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.started.append(process)
        return process

    def call(self, verb: str, *arguments: str) -> int:
        """Call runc and wait for it."""
        return self.begin(verb, *arguments).wait(PATIENCE)

    def create(self) -> int:
        """Call `runc create` and wait for it."""
        return self.begin_create().wait(PATIENCE)

    def begin_create(self) -> subprocess.Popen[bytes]:
        """Call `runc create`."""
        pid_file = str(self.bundle / "init.pid")
        return self.begin("create", "--bundle", str(self.bundle), "--pid-file", pid_file)

    def clean(self) -> None:
        """End what a test has left."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        with suppress(OSError, ValueError):
            os.kill(int((self.order / "restore.pid").read_text()), signal.SIGKILL)


@contextmanager
def machine_with_window(here: Path) -> Iterator[Machine]:
    """Put the stand-in before a fake runc while the block runs."""
    machine = Machine(here)
    with in_place(str(machine.path), str(machine.file), machine.orders):
        try:
            yield machine
        finally:
            machine.clean()
