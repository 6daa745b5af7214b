"""Fixtures for the tests on real hosts.

`DRAINER_LAB_SUITES=forky` chooses the hosts' suites. `DRAINER_LAB_LONG=1` adds what takes long and
shows little more of drainer: the same on another Docker, a fault much like another one. What
explains a failure is kept in `$DRAINER_LAB_ARTIFACTS`, or below the lab's cache, and the report
names the directory.
"""

import os
import re
import shutil
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab import build
from tests.lab.cache import cache_dir
from tests.lab.host import Host, Image, Options, start
from tests.lab.install import with_drainer

CHECKOUT = Path(__file__).parents[2]
SUITES = os.environ.get("DRAINER_LAB_SUITES", "forky,trixie,bookworm").split(",")

_HOSTS = pytest.StashKey[list[Host]]()
_EXPLAINED = pytest.StashKey[BaseException]()
LONG = bool(os.environ.get("DRAINER_LAB_LONG"))
_TEST_SECONDS = 1200.0


class HostFactory:
    """Gives fresh hosts for one test; they end with it."""

    def __init__(self, image: Image, hosts: list[Host], stack: ExitStack) -> None:
        self._image = image
        self._hosts = hosts
        self._stack = stack

    def __call__(self, options: Options | None = None, *, experimental: bool = False) -> Host:
        """Start a host and wait until it has booted; `experimental` is short for that option."""
        host = self._stack.enter_context(
            start(self._image, options or Options(experimental=experimental))
        )
        self._hosts.append(host)
        return host


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is here, and give it the time that an emulated host needs.

    What is marked with `suites` runs on these alone, and in the long form also on those of `long`:
    every test on every suite would take hours.
    """
    elsewhere = [item for item in items if not _belongs(item)]
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if _belongs(item)]
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.guest)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(_TEST_SECONDS, func_only=True))


def _belongs(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("suites")
    call = getattr(item, "callspec", None)
    if marker is None or call is None:
        return True
    wanted = (*marker.args, *(marker.kwargs.get("long", ()) if LONG else ()))
    return call.params.get("suite") in wanted


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Save what the hosts of a failed test can tell while they are still there.

    A fixture of many tests that failed raises the same exception in each: one telling is enough.
    """
    report = yield
    if call.excinfo and report.failed and report.when in {"setup", "call"}:
        error = call.excinfo.value
        if item.session.stash.get(_EXPLAINED, None) is error:
            return report
        item.session.stash[_EXPLAINED] = error
        hosts = [host for node in item.listchain() for host in node.stash.get(_HOSTS, [])]
        for number, host in enumerate(hosts):
            directory = _artifacts() / re.sub(r"[^\w.-]+", "_", item.name) / str(number)
            shutil.rmtree(directory, ignore_errors=True)
            host.collect(directory)
            report.sections.append(("host", f"console, journal and containers are in {directory}"))
    return report


@pytest.fixture(scope="session", params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """Debian's name for what the hosts run."""
    return str(request.param)


@pytest.fixture(scope="session")
def bare_image(suite: str, request: pytest.FixtureRequest) -> Image:
    """Return the suite's disk without drainer."""
    with _uncaptured(request):
        return build.image(suite)


@pytest.fixture(scope="session")
def image(bare_image: Image, request: pytest.FixtureRequest) -> Image:
    """Return the suite's disk with this checkout installed."""
    with _uncaptured(request):
        return with_drainer(bare_image, CHECKOUT)


@pytest.fixture
def new_host(image: Image, request: pytest.FixtureRequest) -> Iterator[HostFactory]:
    """Call it for a fresh host with drainer installed, as often as needed."""
    with ExitStack() as stack:
        yield HostFactory(image, _hosts_of(request), stack)


@pytest.fixture(scope="module")
def module_host(image: Image, request: pytest.FixtureRequest) -> Iterator[Host]:
    """One host with drainer installed and stock Docker, for all tests of a module."""
    with ExitStack() as stack:
        yield HostFactory(image, _hosts_of(request), stack)()


@pytest.fixture
def new_bare_host(bare_image: Image, request: pytest.FixtureRequest) -> Iterator[HostFactory]:
    """Call it for a fresh host without drainer."""
    with ExitStack() as stack:
        yield HostFactory(bare_image, _hosts_of(request), stack)


@pytest.fixture(scope="module")
def bare_host_of_module(bare_image: Image, request: pytest.FixtureRequest) -> Iterator[HostFactory]:
    """Call it for a host without drainer, for all tests of a module."""
    with ExitStack() as stack:
        yield HostFactory(bare_image, _hosts_of(request), stack)


def _hosts_of(request: pytest.FixtureRequest) -> list[Host]:
    hosts: list[Host] = []
    request.node.stash[_HOSTS] = hosts
    return hosts


def _artifacts() -> Path:
    configured = os.environ.get("DRAINER_LAB_ARTIFACTS")
    return Path(configured) if configured else cache_dir() / "failed"


def _uncaptured(request: pytest.FixtureRequest) -> ExitStack:
    """Let the progress of minutes of building through to the terminal."""
    stack = ExitStack()
    manager = request.config.pluginmanager.getplugin("capturemanager")
    if manager is not None:
        stack.enter_context(manager.global_and_fixture_disabled())
    return stack
