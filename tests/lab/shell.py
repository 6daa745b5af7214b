"""Keep a host up to look at: `python -m tests.lab.shell trixie`, `--help` for more."""

import argparse
import signal
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.lab import build
from tests.lab.host import Options, start
from tests.lab.install import with_drainer
from tests.lab.recipe import RECIPES
from tests.lab.say import say, step


def main() -> None:
    """Start a host, print how to reach it, and wait to be ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.shell", description=__doc__)
    parser.add_argument("suite", nargs="?", default="trixie", choices=sorted(RECIPES))
    parser.add_argument(
        "--experimental", action="store_true", help="Docker's experimental features"
    )
    parser.add_argument("--drainer", action="store_true", help="with this checkout installed")
    arguments = parser.parse_args()
    image = build.image(arguments.suite)
    if arguments.drainer:
        image = with_drainer(image, Path(__file__).parents[2])
    # A terminated shell leaves by the same way as an interrupted one, so that nothing stays behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = Options(experimental=arguments.experimental)
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        with step("starting"):
            host = stack.enter_context(start(image, options))
        say("up until interrupted or terminated; a shell:")
        say(host.ssh_command)
        say(f"console: {host.machine.directory}/console.log")
        signal.pause()
    say("ended")


if __name__ == "__main__":
    main()
