"""iptables(8) and iptables-restore(8) in memory: the chain of the guard, and what leads to it."""

from collections.abc import Sequence

from drainer.host.run import Result
from drainer.runtime.guard import CHAIN

JUMP = f"PREROUTING -p tcp ! --syn -m conntrack --ctstate INVALID,NEW -j {CHAIN}"
_REFUSED = Result(1, "", "iptables: No chain/target/match by that name.\n")


class FakeIptables:
    """What the kernel has, and what iptables answers."""

    def __init__(self) -> None:
        self.rules: list[str] | None = None
        """Those of the guard's chain; None while there is no such chain."""
        self.jumps = 0
        self.broken = False
        """Whether every change is refused."""
        self.asked: list[str] = []

    def replace_all(self) -> None:
        """Forget all, as where a firewall puts its own rules in place."""
        self.rules, self.jumps = None, 0

    def run(self, arguments: Sequence[str], timeout: float) -> Result:
        assert timeout > 0
        program, *rest = arguments
        assert (program, rest[:3]) == ("iptables", ["--wait=20", "-t", "mangle"])
        words = " ".join(rest[3:])
        self.asked.append(words)
        if self.broken:
            return Result(4, "", "iptables: Resource temporarily unavailable.\n")
        return self._do(words)

    def _do(self, words: str) -> Result:
        if self.rules is None:
            return _REFUSED
        if words == f"-C {JUMP}":
            return Result(0) if self.jumps else _REFUSED
        if words == f"-D {JUMP}":
            if not self.jumps:
                return _REFUSED
            self.jumps -= 1
        elif words == f"-F {CHAIN}":
            self.rules = []
        elif words == f"-X {CHAIN}":
            if self.rules or self.jumps:
                return _REFUSED
            self.rules = None
        else:
            raise AssertionError(words)
        return Result(0)

    def feed(self, arguments: Sequence[str], timeout: float, data: bytes) -> Result:
        assert timeout > 0
        assert list(arguments) == ["iptables-restore", "--wait=20", "--noflush"]
        if self.broken:
            return Result(4, "", "iptables-restore: line 3 failed\n")
        table, chain, *lines, commit, end = data.decode().split("\n")
        assert (table, chain, commit, end) == ("*mangle", f":{CHAIN} - [0:0]", "COMMIT", "")
        own = f"-A {CHAIN} "
        self.rules = [line.removeprefix(own) for line in lines if line.startswith(own)]
        self.jumps += lines.count(f"-A {JUMP}")
        return Result(0)
