"""The command line: parse, call, print."""

import os
import signal
import sys
from types import FrameType

from drainer.errors import DrainerError, ExitCode


def main() -> None:
    """Run the command line; every error becomes one line, a hint and a documented exit code."""
    signal.signal(signal.SIGINT, _leave)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
    from drainer.cli import output  # noqa: PLC0415 - the handlers come first
    from drainer.cli.app import app  # noqa: PLC0415

    output.escape_what_cannot_be_shown()

    try:
        app()
    except DrainerError as error:
        output.show_error(error.message, error.hint, error.exit_code, as_json="--json" in sys.argv)
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("DRAINER_DEBUG"):
            raise
        hint = "set DRAINER_DEBUG=1 to see where, and report it"
        output.show_error(
            f"unexpected: {error!r}", hint, ExitCode.UNEXPECTED, as_json="--json" in sys.argv
        )
        sys.exit(ExitCode.UNEXPECTED)


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED)
