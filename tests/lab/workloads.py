"""Real programs in containers, and questions that tell whether one lost its memory."""

import json
from dataclasses import dataclass

from tests.lab.host import Host

SERVICE = """\
import http.server, json, os, secrets, threading, time
state = {"token": secrets.token_hex(8), "count": 0}
def count():
    while True:
        time.sleep(0.5)
        state["count"] += 1
threading.Thread(target=count, daemon=True).start()
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(state).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
http.server.HTTPServer(("", int(os.environ["PORT"])), Answer).serve_forever()
"""
"""A service that knows only in memory who it is (`token`) and how far it has counted."""

TALK = """\
import socket, sys, threading, time
def hear(connection):
    expected = 0
    for line in connection.makefile():
        expected += 1
        number = int(line.split()[0])
        print("heard" if number == expected else "WRONG", number, flush=True)
        time.sleep(0.32)
    print("LOST", flush=True)
if len(sys.argv) > 1:
    while True:
        try:
            connection = socket.create_connection((sys.argv[1], 7000))
            break
        except OSError:
            time.sleep(0.5)
    connection.settimeout(None)
else:
    connection = socket.create_server(("", 7000)).accept()[0]
threading.Thread(target=hear, args=(connection,), daemon=True).start()
number = 0
while True:
    number += 1
    connection.sendall(b"%d %s\\n" % (number, b"x" * 30000))
    time.sleep(0.2)
"""
"""Two of these talk without a pause over one connection, and never make another one.

Each listens more slowly than the other one talks, so that much is always under way.
"""

DOWNLOAD = """\
import hashlib, os, sys, time, urllib.request
while True:
    try:
        answer = urllib.request.urlopen(sys.argv[1])
        break
    except OSError:
        time.sleep(0.5)
digest, size = hashlib.sha256(), 0
while chunk := answer.read(16384):
    digest.update(chunk)
    size += len(chunk)
    print(size, flush=True)
    os.path.exists("/tmp/go") or time.sleep(0.4)
print(digest.hexdigest(), flush=True)
time.sleep(100000)
"""
"""Loads something down slowly, in one request, and in a hurry once it is told to (`/tmp/go`)."""

FILES = "cd /tmp && head -c 64M /dev/urandom >file && exec python3 -m http.server"
"""Serves a file that is much larger than what is under way over a connection."""

NUMBERS = "i=0; while :; do i=$((i+1)); echo $i; sleep 1; done"
"""A shell program whose log is the series 1, 2, 3, ... one number a second.

Each `sleep` is a process, and to start one takes 15 ms of an emulated CPU: one of these in steps of
0.4 s took 4 % of it, and the hosts run up to twenty.
"""

# It holds a lock, and has a deleted file open that is larger than CRIU saves by default.
LOCKED = (
    "exec 9>/tmp/lock; flock 9; dd if=/dev/zero of=/tmp/big bs=1M count=3 2>/dev/null;"
    " exec 8</tmp/big; rm /tmp/big; i=0;"
    " while :; do i=$((i+1)); echo $i $(stat -Lc %s /proc/$$/fd/8); sleep 1; done"
)
# One connection for all, until it breaks.
CLIENT = "while :; do while sleep 1; do echo incr hits; done | redis-cli -h redis; sleep 1; done"
# The connections of both are kept; the second one has a transaction open on its own.
COUNT = "while sleep 2; do echo incr hits; done | redis-cli -h counted"
_PSQL = "/usr/lib/postgresql/*/bin/psql -h postgres -U postgres -Atq"
TELL = (
    f'until {_PSQL} -c begin; do sleep 1; done; (echo "begin;";'
    ' echo "create table opened as select 7 as answer;"; until [ -e /tmp/go ]; do sleep 1; done;'
    f' echo "table opened; commit;") | {_PSQL}; echo ended; sleep 100000'
)
# It holds 150 MiB, and changes little of it.
LARGE = (
    "import itertools, os, time; data = bytearray(os.urandom(1 << 20) * 150);"
    " [(data.__setitem__(n * 4096, 1), print(n, flush=True), time.sleep(0.4))"
    " for n in itertools.count(1)]"
)

_SERVICE_PATH = "/srv/lab/service.py"
_TALK_PATH = "/srv/lab/talk.py"
_DOWNLOAD_PATH = "/srv/lab/download.py"


@dataclass(frozen=True)
class Workload:
    """One container to be started: `docker run -d --name NAME OPTIONS IMAGE COMMAND`."""

    name: str
    image: str
    command: str = ""
    options: str = ""

    @property
    def run(self) -> str:
        """The shell command that starts it."""
        return f"docker run -d --name {self.name} {self.options} {self.image} {self.command}"


def redis(name: str = "redis", options: str = "") -> Workload:
    """Make a redis that never writes to disk."""
    command = "redis-server --save '' --appendonly no --protected-mode no"
    return Workload(name, "lab/redis", command, options)


def nginx(name: str, port: int, options: str = "") -> Workload:
    """Make an nginx on a published port."""
    return Workload(name, "lab/nginx", "", f"-p {port}:80 {options}")


def service(name: str, port: int, options: str = "") -> Workload:
    """Make the counting service on a published port."""
    return Workload(
        name,
        "lab/python",
        "python3 /service.py",
        f"-p {port}:{port} -e PORT={port} -v {_SERVICE_PATH}:/service.py:ro {options}",
    )


def talker(name: str, options: str, other: str = "") -> Workload:
    """Make one of two programs that talk; the one that calls the other is told its name."""
    options = f"-v {_TALK_PATH}:/talk.py:ro {options}"
    return Workload(name, "lab/python", f"python3 /talk.py {other}", options)


def download(name: str, options: str, url: str) -> Workload:
    """Make a program that loads something down slowly."""
    options = f"-v {_DOWNLOAD_PATH}:/download.py:ro {options}"
    return Workload(name, "lab/python", f"python3 /download.py {url}", options)


def numbers(name: str, options: str = "") -> Workload:
    """Make the container that logs a series of numbers."""
    return Workload(name, "lab/busybox", f"sh -c '{NUMBERS}'", options)


def start_all(host: Host, workloads: tuple[Workload, ...], timeout: float = 600) -> None:
    """Start the containers, two at a time, in their order as far as that goes."""
    host.write(_SERVICE_PATH, SERVICE)
    host.write(_TALK_PATH, TALK)
    host.write(_DOWNLOAD_PATH, DOWNLOAD)
    script = "\n".join(w.run for w in workloads)
    host.run("xargs -d '\\n' -P 2 -I@ sh -c '@ >/dev/null'", timeout, data=script.encode())


def service_state(host: Host, port: int, timeout: float = 60) -> tuple[str, int]:
    """Ask a counting service for its token and its count."""
    answer = json.loads(host.wait_until(f"curl -sf -m 5 http://127.0.0.1:{port}/", timeout))
    return answer["token"], answer["count"]


def number_log(host: Host, name: str) -> list[int]:
    """Return the numbers in a container's log."""
    return [int(line) for line in host.output(f"docker logs {name}").split()]


def policies(host: Host) -> dict[str, str]:
    """Return each container's restart policy by its name."""
    lines = host.output(
        "docker ps -aq | xargs -r docker inspect -f '{{.Name}} {{.HostConfig.RestartPolicy.Name}}'"
    )
    return {name.removeprefix("/"): policy for name, policy in map(str.split, lines.splitlines())}


def running(host: Host) -> set[str]:
    """Return the names of the running containers."""
    return set(host.output("docker ps --format '{{.Names}}'").split())
