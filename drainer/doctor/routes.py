"""For each route, whether it can carry anything on this host, decided by the rules alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drainer.model import Container, EngineFacts, Finding, HostFacts, ProcessFacts, Route, Subject
from drainer.rules import refusals, skip_reasons

BRIDGE, NONE, HOST = "bridge", "none", "host"
NETWORK_MODES = (BRIDGE, NONE, HOST)
"""Docker's kinds of network; `bridge` stands for every network with an address of its own."""

_SECCOMP_FILTER = 2


@dataclass(frozen=True, slots=True)
class RouteReport:
    """What one route can carry on this host."""

    route: Route
    refusals: tuple[Finding, ...]
    """Why it can carry nothing."""
    networks: Mapping[str, tuple[Finding, ...]]
    """By network mode, why it cannot carry an ordinary container in it; empty when refused."""

    @property
    def carried(self) -> tuple[str, ...]:
        """The network modes that it can carry."""
        return tuple(mode for mode, reasons in self.networks.items() if not reasons)

    @property
    def works(self) -> bool:
        """Whether it can carry anything."""
        return bool(self.carried)

    @property
    def reasons(self) -> tuple[Finding, ...]:
        """What stands in its way, in whole or in part."""
        parts = {f.id: f for reasons in self.networks.values() for f in reasons}
        return self.refusals or tuple(parts.values())

    @property
    def summary(self) -> str:
        """Say in a few words what a reboot could carry by it."""
        ids = ", ".join(f.id for f in self.reasons)
        if not self.works:
            return f"cannot: {ids}"
        if len(self.carried) == len(self.networks):
            return "every network mode"
        return f"only network mode {', '.join(self.carried)}: {ids}"


def report(host: HostFacts, engine: EngineFacts, routes: Sequence[Route]) -> list[RouteReport]:
    """Ask the rules about each route, and about an ordinary container in each network mode."""
    return [_report(host, engine, route) for route in routes]


def _report(host: HostFacts, engine: EngineFacts, route: Route) -> RouteReport:
    refused = refusals(host, engine, route)
    if refused:
        return RouteReport(route, refused, {})
    asked = {mode: _ordinary(host, engine, mode) for mode in NETWORK_MODES}
    networks = {mode: skip_reasons(subject, route) for mode, subject in asked.items()}
    return RouteReport(route, (), networks)


def _ordinary(host: HostFacts, engine: EngineFacts, network: str) -> Subject:
    """Make up a container with Docker's defaults and one unremarkable process."""
    container = Container("0" * 64, "ordinary", runtime="", network_mode=network)
    root = "/run/docker/runtime-runc/moby"
    processes = ProcessFacts(
        count=1, seccomp_mode=_SECCOMP_FILTER, runtime="runc", runtime_root=root
    )
    return Subject(container, processes, host, engine)
