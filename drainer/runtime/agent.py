"""What the stand-in does in place of runc for one container that is to be restored.

It is called with DIRECTORY RUNC ARGUMENT...: what was meant for runc. DIRECTORY is named after the
container and holds what this, the hook (`hold`) and drainer tell each other:

    order.json   from drainer: what to restore; becomes taken.json when the restore is begun
    pid          the host pid of the restored first process, from the hook
    release      a FIFO, by which the hook is told to go on (`go`) or to give up (`no`)
    restore.pid  the pid of `runc restore`
    started      the engine has asked for the start: its network is laid
    lost         not all of its connections with other hosts could be put back
    status       the exit status of `runc restore`
    placeholder  from drainer, alone: a container that runs nothing and only holds its addresses
    over         runc itself has created the container since: its start is runc's, too

An engine starts a container by `create`, lays its network by the pid that it gets, and calls
`start`. A restore gets there in one go, so it is begun at `create`, held by the hook as soon as
there is a network namespace, and let go at `start`.

Standard library only, and little of it: every call waits for the interpreter to start.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

HOLD = Path(__file__).with_name("hold.py")

POLL = 0.005
"""Seconds between the first two looks at a file that another process writes."""
PATIENT_POLL = 0.1
"""Seconds between two looks after a long time."""

STOP_PATIENCE = 30.0
"""Seconds that a restore has that was told to give up."""
STATUS_PATIENCE = 1.0
"""Seconds from the end of `runc restore` to the note of its status."""


CRIU_CONFIG_FILE = "CRIU_CONFIG_FILE"
"""The variable that names CRIU's file of options (criu/config.c)."""
CRIU_CONFIGURATION = "criu.conf"
"""That file, in the checkpoint's directory for logs."""
VALUED = frozenset({"--root", "--log", "--log-format", "--criu", "--rootless"})
"""runc's options before the verb whose value is the next word (runc main.go)."""


class Call:
    """A command line that was meant for runc."""

    def __init__(self, runc: str, arguments: list[str], umask: int) -> None:
        self.runc = runc
        self.umask = umask
        self.arguments = arguments
        place = 0
        while place < len(arguments) and arguments[place].startswith("-"):
            place += 2 if arguments[place] in VALUED else 1
        self.verb = arguments[place] if place < len(arguments) else ""
        self.shared = arguments[:place]
        """The options before the verb."""

    def value(self, option: str) -> str:
        """Return an option's value, from `--option value` or `--option=value`; empty without."""
        for place, word in enumerate(self.arguments):
            if word == option:
                return self.arguments[place + 1]
            if word.startswith(f"{option}="):
                return word.partition("=")[2]
        return ""

    def hand_on(self) -> int:
        """Become the real runc."""
        return become([self.runc, *self.arguments], self.umask)


def become(command: list[str], umask: int) -> int:
    """Become another program, with the umask and the signals that this one was called with."""
    os.umask(umask)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # the interpreter ignores them
        signal.signal(number, signal.SIG_DFL)
    os.execv(command[0], command)  # noqa: S606 - it is the point


def put(path: Path, text: str) -> None:
    """Write a file that others see whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.replace(path)


def got(path: Path) -> str:
    """Read a file; empty while it is not there, or its process."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def looks(seconds: float) -> Iterator[None]:
    """Yield for each look at what is waited for, until so many seconds are over.

    A look costs time that a restore needs: before the next one passes a tenth of the time so far.
    """
    begin = time.monotonic()
    while time.monotonic() < begin + seconds:
        yield
        time.sleep(min(max(POLL, (time.monotonic() - begin) / 10), PATIENT_POLL))


def create(directory: Path, call: Call) -> int:
    """Begin the restore; return when the container has its namespaces, as `runc create` does."""
    try:
        (directory / "order.json").rename(directory / "taken.json")
    except FileNotFoundError:
        if (directory / "taken.json").exists():
            put(directory / "over", "")
        return call.hand_on()
    try:
        order = json.loads((directory / "taken.json").read_text())
        bundle = Path(call.value("--bundle"))
        _open_gate(Path(order["gate"]))
        _rewrite(bundle / "config.json", _hook(directory, order))
        os.mkfifo(directory / "release", 0o600)
        command = _command(directory, call, order)
    except BaseException:
        put(directory / "status", "1")  # nobody is to wait for what was never begun
        raise
    if not os.fork():
        _restore(directory, command, Path(order["work"]), call.umask)
    for _ in looks(order["seconds"]):
        pid, status = got(directory / "pid"), got(directory / "status")
        if pid:
            put(Path(call.value("--pid-file")), pid)
            return 0
        if status:
            return int(status) or 1
    give_up(directory)
    return 1


def _command(directory: Path, call: Call, order: dict[str, list[str]]) -> list[str]:
    """Return what runc is to do instead of what it was told."""
    command = [call.runc, *call.shared, "restore", "--detach", "--no-subreaper"]
    command += ["--image-path", str(order["images"]), "--work-path", str(order["work"])]
    command += [f"--{flag}" for flag in order["flags"]]
    command += ["--no-pivot"] if "--no-pivot" in call.arguments else []
    return [*command, "--bundle", call.value("--bundle"), directory.name]


def _open_gate(gate: Path) -> None:
    """Remove the directory that would have made a `create` by runc itself fail."""
    try:
        gate.rmdir()
    except FileNotFoundError:
        return


def _hook(directory: Path, order: dict[str, object]) -> dict[str, object]:
    """Return the hook that holds the restore, for runc's configuration."""
    words = (HOLD, directory, order["seconds"], order["unused"])
    return {"path": sys.executable, "args": [sys.executable, "-I", "-S", *map(str, words)]}


def _rewrite(file: Path, hook: dict[str, object]) -> None:
    """Add the hook to a bundle's configuration, and name what its mounts' links lead to.

    CRIU opens the source of a mount without following links (criu/mount-v2.c), runc follows them.
    """
    spec = json.loads(file.read_bytes())  # UTF-8, whatever the locale
    hooks = spec.get("hooks") or {}
    hooks["createRuntime"] = [*(hooks.get("createRuntime") or []), hook]
    spec["hooks"] = hooks
    for mount in spec.get("mounts") or []:
        if Path(mount.get("source") or "/").is_symlink():
            mount["source"] = os.path.realpath(mount["source"])
    put(file, json.dumps(spec))


def _restore(directory: Path, command: list[str], work: Path, umask: int) -> None:
    """Run `runc restore` in a session of its own, note its end, and end."""
    os.setsid()
    restore = os.fork()
    if not restore:
        # What a dump was made with may be needed here too (criu/image.c: tcp_close).
        if (work / CRIU_CONFIGURATION).exists():
            os.environ[CRIU_CONFIG_FILE] = str(work / CRIU_CONFIGURATION)
        become(command, umask)
    put(directory / "restore.pid", str(restore))
    _, status = os.waitpid(restore, 0)
    put(directory / "status", str(os.waitstatus_to_exitcode(status)))
    os._exit(0)


def start(directory: Path, call: Call) -> int:
    """Let the restore go on; return how it ended."""
    if not (directory / "taken.json").exists() or (directory / "over").exists():
        return call.hand_on()
    order = json.loads((directory / "taken.json").read_text())
    put(directory / "started", "")
    _keep_macs(directory, order["macs"])
    if order.get("connections"):
        _put_back(directory, Path(order["connections"]))
    if order.get("quiet"):
        _silence(directory, Path(order["quiet"]), order["drainer"])
    _tell(directory, "go")
    for _ in looks(order["seconds"]):
        status = got(directory / "status")
        if status:
            return abs(int(status))
    give_up(directory)
    return 1


def _keep_macs(directory: Path, macs: dict[str, str]) -> None:
    """Give the network interfaces the hardware addresses that they had; not worth a restore."""
    if macs:
        from drainer.runtime import link  # noqa: PLC0415 - seldom needed, and every call waits

        with suppress(OSError, ValueError):
            link.set_macs(int(got(directory / "pid")), macs)


def _put_back(directory: Path, file: Path) -> None:
    """Let packets of connections with other hosts find the container; not worth a restore."""
    from drainer.runtime import conntrack  # noqa: PLC0415 - see `_keep_macs`

    lost = False
    try:
        for connection in conntrack.read(got(file)):
            try:
                conntrack.put_back(connection)
            except OSError:
                lost = True
    except ValueError:
        lost = True
    if lost:
        with suppress(OSError):
            put(directory / "lost", "")


def _silence(directory: Path, file: Path, drainer: str) -> None:
    """Cut a container off until the rest of its group is back.

    Whoever has asked for the restore undoes it; if that one dies, this process's child.
    """
    from drainer.runtime import quiet  # noqa: PLC0415 - see `_keep_macs`

    with suppress(ValueError):
        names = quiet.begin(file, int(got(directory / "pid")))
        if not names or os.fork():
            return
        try:
            os.setsid()
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):  # whoever called reads them to their end
                os.dup2(nothing, descriptor)
            quiet.watch(file, names, drainer)
        finally:
            os._exit(0)


def _tell(directory: Path, word: str) -> None:
    """Tell the hook, if it waits."""
    try:
        fifo = os.open(directory / "release", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        os.write(fifo, word.encode())
    except OSError:  # it has gone since
        return
    finally:
        os.close(fifo)


def stop(directory: Path, call: Call) -> int:
    """End a restore that is still under way, then do what runc was told."""
    if (directory / "taken.json").exists():
        end(directory, STOP_PATIENCE)
    return call.hand_on()


def end(directory: Path, patience: float) -> bool:
    """End a restore that was begun; tell whether it had to be killed.

    Told by its hook, runc undoes what it has done. `patience` is in seconds.
    """
    last = time.monotonic() + patience
    while not got(directory / "status"):
        if got(directory / "restore.pid") and not _of(directory, "restore.pid", "cmdline"):
            last = min(last, time.monotonic() + STATUS_PATIENCE)
        if time.monotonic() >= last:
            give_up(directory)
            return True
        _tell(directory, "no")  # again and again: the hook may be yet to come
        time.sleep(POLL)
    return False


def give_up(directory: Path) -> None:
    """Kill a restore that does not end, and what it has made of the container."""
    _tell(directory, "no")  # the hook outlives it
    for pid in (_of(directory, "restore.pid", "cmdline"), _of(directory, "pid", "cgroup")):
        if pid:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue


def _of(directory: Path, name: str, proof: str) -> str:
    """Return a pid that was noted, if it is still a process of this container's."""
    pid = got(directory / name)
    return pid if pid and directory.name in got(Path(f"/proc/{pid}/{proof}")) else ""


def _placeholder(directory: Path, call: Call) -> int:
    """Play the whole life of a container that only holds its addresses."""
    from drainer.runtime import link, placeholder  # noqa: PLC0415 - see `_keep_macs`

    if call.verb == "create":
        return placeholder.create(directory, Path(call.value("--pid-file")))
    if call.verb == "start":
        # Nobody is to be answered by it, or even refused.
        with suppress(OSError):
            link.take_down(placeholder.process(directory))
        return 0
    return placeholder.stop(directory) if call.verb in {"kill", "delete"} else 1


VERBS = {"create": create, "start": start, "kill": stop, "delete": stop}


def main(arguments: list[str]) -> int:
    """Play one part; return runc's exit status."""
    directory = Path(arguments[0])
    umask = os.umask(0o077)
    call = Call(arguments[1], arguments[2:], umask)
    if (directory / "placeholder").exists():
        return _placeholder(directory, call)
    return VERBS[call.verb](directory, call) if call.verb in VERBS else call.hand_on()
