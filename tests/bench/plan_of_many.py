"""Plan a drain of many containers of a Docker in memory, as `drainer plan` does it.

Prints the seconds of CPU that the command took, its imports included.
"""

import contextlib
import io
import sys
import tempfile
import time
from pathlib import Path

BEGIN = time.process_time()

from drainer import cli  # noqa: E402 - what it costs is measured
from drainer.cli.wiring import Settings  # noqa: E402

IMPORTED = time.process_time()

from tests.unit.world import World  # noqa: E402


def main(count: int) -> float:
    """Return how long the plan took."""
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory) / "state")
        for number in range(count):
            project = {"com.docker.compose.project": f"stack-{number // 8}"}
            world.add(f"web-{number}", "always", labels=project)
        Settings.engine = lambda _self: world.engine  # type: ignore[method-assign,assignment]
        Settings.host = lambda _self: world.host  # type: ignore[method-assign,assignment]
        sys.argv = ["drainer", "--state-dir", directory, "plan"]
        begin = time.process_time()
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            cli.main()
        took = time.process_time() - begin
        assert f"{count} of {count} running containers would be carried" in printed.getvalue()
    return took + IMPORTED - BEGIN


if __name__ == "__main__":
    sys.stdout.write(f"{main(int(sys.argv[1]))}\n")
