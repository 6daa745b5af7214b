"""A service that imports for seconds before it answers: all of the standard library."""

import http.server
import importlib
import signal
import sys
from contextlib import suppress

signal.signal(signal.SIGTERM, lambda *_: sys.exit())

NOT_HARMLESS = {"antigravity", "idlelib", "this", "turtle", "turtledemo"}

for name in sorted(sys.stdlib_module_names - NOT_HARMLESS):
    with suppress(ImportError):
        importlib.import_module(name)


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers what the web server of the JVM does too: something."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the log empty."""


http.server.HTTPServer(("", 8000), Answer).serve_forever()
