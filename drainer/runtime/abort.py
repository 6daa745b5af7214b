"""End a dump that takes too long, so that its container can be given back as it was.

Killing CRIU comes last: it would leave the container's network locked, if it locks it
(`criu_options.NO_LOCK`), and in a bad moment its own code in the container's processes. CRIU undoes
everything by itself when a dump fails (criu cr-dump.c cr_dump_finish), and it fails when it cannot
make its next image.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from drainer.host.run import MISSING, TIMED_OUT, Result, Runner

FAIL_SECONDS = 6.0
"""How long CRIU has to notice that its images are gone; it does so at its next file."""
KILL_SECONDS = 2.0
UNLOCK_SECONDS = 18.0
"""For all that unlocks the network of a container whose CRIU was killed."""
POLL = 0.1
_LOCK_WAIT = 5
"""Seconds that iptables waits for others, of whatever network (xtables.lock is the host's)."""
_STEP_SECONDS = 6.0

_RULES = (
    ("-D", "INPUT", "-j", "CRIU"),
    ("-D", "OUTPUT", "-j", "CRIU"),
    ("-F", "CRIU"),
    ("-X", "CRIU"),
)
"""What takes CRIU's lock of a network away (criu net.c iptables_network_unlock_internal)."""
_NO_CHAIN = frozenset({2, MISSING})
"""Statuses of a rule's deletion where CRIU made none: iptables(8) takes a target that is no chain
for a wrong parameter."""
_TABLE = re.compile(r"^table inet (CRIU-[0-9A-Za-z-]+)$", re.MULTILINE)
"""The lock of a CRIU that uses nftables (criu netfilter.c nftables_get_table)."""


def abort(process: "subprocess.Popen[bytes]", images: Path, state: Path, run: Runner) -> bool:
    """End a runc that leads a session of its own, and its CRIU; tell whether they have ended.

    `images` is where CRIU writes, `state` where runc keeps the container's state. Takes
    `FAIL_SECONDS` and `KILL_SECONDS` at most, and `UNLOCK_SECONDS` if the network has to be
    unlocked. Never raises.
    """
    end = time.monotonic() + FAIL_SECONDS
    while time.monotonic() < end:
        # Again, as a file may have been made meanwhile.
        shutil.rmtree(images, ignore_errors=True)
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL)
            return True
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(KILL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    unlock_network(state, run)
    return True


def unlock_network(state: Path, run: Runner) -> None:
    """Remove what a killed CRIU has left to keep a container from the network. Never raises.

    That it may find nothing is no error. The host's own network is never touched: CRIU locks none
    that is not a container's (criu net.c network_lock).
    """
    try:
        pid = json.loads((state / "state.json").read_bytes())["init_process_pid"]
        namespace = Path(f"/proc/{int(pid)}/ns/net")
        if namespace.samefile("/proc/self/ns/net"):
            return
    except (OSError, ValueError, KeyError, TypeError):
        return
    end = time.monotonic() + UNLOCK_SECONDS

    def inside(*arguments: str) -> Result:
        left = end - time.monotonic()
        if left <= 0:
            return Result(TIMED_OUT)
        return run(["nsenter", f"--net={namespace}", *arguments], min(_STEP_SECONDS, left))

    # First what waits for nobody.
    for table in _TABLE.findall(inside("nft", "list", "tables", "inet").output):
        inside("nft", "delete", "table", "inet", table)
    for program in ("iptables", "ip6tables"):
        for number, rule in enumerate(_RULES):
            result = inside(program, "-w", str(_LOCK_WAIT), *rule)
            if number == 0 and result.status in _NO_CHAIN:
                break
