"""How the hosts of a suite are set up, and which route a drain takes there."""

from drainer.model import Route
from tests.lab.host import Host

ENGINE_SUITES = frozenset({"trixie"})
"""Where Docker itself can restore every kind of network, and experimental mode is set.

Docker 26 has it for the tests. Docker 28 (forky) cannot, and Docker 20.10 (bookworm) is left as it
is installed.
"""


def set_up(host: Host, suite: str) -> None:
    """Follow the README: by one command, or where Docker is to make the checkpoints by two."""
    if suite in ENGINE_SUITES:
        host.run("drainer install --enable --experimental && systemctl restart docker", 180)
    else:
        host.run("drainer install --enable", 60)


def route(suite: str) -> Route:
    """Return the route of an ordinary container."""
    return Route.ENGINE if suite in ENGINE_SUITES else Route.RUNTIME


def images(host: Host, suite: str, name: str) -> str:
    """Return the directory of a container's checkpoint."""
    container = host.output(f"docker inspect -f '{{{{.Id}}}}' {name}")
    if route(suite) is Route.ENGINE:
        return host.output(f"ls -d /var/lib/docker/containers/{container}/checkpoints/drainer-*")
    return host.output(f"ls -d /var/lib/drainer/checkpoints/drainer-*/{container}/images")
