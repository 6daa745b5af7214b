import time
from threading import Barrier, Event

import pytest

from drainer.engine.fake import FakeEngine
from drainer.errors import EngineUnavailableError, HostIncapableError
from drainer.host.fake import FakeHost
from drainer.inventory import ask_both
from drainer.model import EngineFacts, HostFacts

PATIENCE = 10.0
"""Seconds that one question waits for the other one."""


def test_docker_and_the_host_are_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    both = Barrier(2, timeout=PATIENCE)
    engine_facts, host_facts = FakeEngine.facts, FakeHost.facts

    def ask_engine(self: FakeEngine) -> EngineFacts:
        both.wait()
        return engine_facts(self)

    def ask_host(self: FakeHost) -> HostFacts:
        both.wait()
        return host_facts(self)

    monkeypatch.setattr(FakeEngine, "facts", ask_engine)
    monkeypatch.setattr(FakeHost, "facts", ask_host)
    engine = FakeEngine()
    host = FakeHost(engine)
    assert ask_both(engine, host) == (engine_facts(engine), host_facts(host))


def test_a_docker_that_is_away_is_told_of_without_waiting_for_criu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    awake = Event()

    def away(_self: FakeEngine) -> EngineFacts:
        raise EngineUnavailableError("away", "start it")

    def hang(_self: FakeHost) -> HostFacts:
        awake.wait(PATIENCE)
        raise AssertionError

    monkeypatch.setattr(FakeEngine, "facts", away)
    monkeypatch.setattr(FakeHost, "facts", hang)
    engine = FakeEngine()
    begin = time.monotonic()
    with pytest.raises(EngineUnavailableError):
        ask_both(engine, FakeHost(engine))
    assert time.monotonic() - begin < PATIENCE / 2
    awake.set()


def test_what_the_host_cannot_tell_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: FakeHost) -> HostFacts:
        raise HostIncapableError("no /proc", "mount it")

    monkeypatch.setattr(FakeHost, "facts", fail)
    engine = FakeEngine()
    with pytest.raises(HostIncapableError):
        ask_both(engine, FakeHost(engine))
