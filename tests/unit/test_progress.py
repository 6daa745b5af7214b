from datetime import UTC, datetime, timedelta

from drainer.budget import CAUTIOUS_RATE, CAUTIOUS_START
from drainer.manifest import CheckpointState, Entry, State
from drainer.model import Container, EngineFacts, HostFacts, Plan, PlanEntry, RestartPolicy, Verdict
from drainer.progress import Progress
from drainer.room import checkpoint_bytes

SIZE = 320 << 20


def plan(*names: str) -> Plan:
    entries = tuple(PlanEntry(Container(n, n), Verdict.CARRY, expected_bytes=SIZE) for n in names)
    skipped = PlanEntry(Container("skipped", "skipped"), Verdict.SKIP)
    return Plan(HostFacts("b", "k", "x"), EngineFacts("1"), entries=(*entries, skipped))


def entry(name: str, state: State, seconds: float = 0) -> Entry:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    times = {
        "dumping": begin.isoformat(),
        "dumped": (begin + timedelta(seconds=seconds)).isoformat(),
    }
    complete = CheckpointState.COMPLETE if seconds else CheckpointState.NONE
    return Entry(
        name, name, "", state, RestartPolicy(), times=times, size=SIZE, checkpoint_state=complete
    )


def test_it_counts_what_is_carried_and_estimates_the_rest() -> None:
    progress = Progress(plan("a", "b", "c"), parallel=1)
    each = CAUTIOUS_START + checkpoint_bytes(SIZE) / CAUTIOUS_RATE
    assert progress.line() == f"drain: 0 of 3 done, about {3 * each:.0f} s to go"
    assert progress.see(entry("a", State.DUMPING)).endswith("s to go; a: dumping")
    assert progress.see(entry("a", State.STOPPED, seconds=1)) == (
        "drain: 1 of 3 done, about 8 s to go; a: stopped"
    )
    progress.see(entry("b", State.LEFT))
    assert progress.see(entry("c", State.STOPPED)) == "drain: 3 of 3 done; c: stopped"


def test_side_by_side_goes_faster_and_others_do_not_count() -> None:
    one, two = (Progress(plan("a", "b"), parallel=n) for n in (1, 2))
    assert int(one.line().split()[-4]) > 1.5 * int(two.line().split()[-4])
    assert Progress(plan("a"), 8).line() == Progress(plan("a"), 1).line()
    assert one.see(entry("of an earlier drain", State.STOPPED)).startswith("drain: 0 of 2 done")
    assert Progress(plan(), 2).line() == "drain: 0 of 0 done"


def at(name: str, state: State, **seconds: float) -> Entry:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    times = {s: (begin + timedelta(seconds=after)).isoformat() for s, after in seconds.items()}
    complete = CheckpointState.COMPLETE if "dumped" in times else CheckpointState.NONE
    return Entry(
        name, name, "", state, RestartPolicy(), times=times, size=SIZE, checkpoint_state=complete
    )


def test_what_goes_one_after_the_other_is_not_taken_for_side_by_side() -> None:
    turns, beside = (Progress(plan("a", "b", "c", "d"), parallel=2) for _ in range(2))
    stopped = at("a", State.STOPPED, held=0, dumping=0, dumped=10, stopped=10)
    turns.see(stopped)
    line = turns.see(at("b", State.HELD, held=10))
    assert "about 40 s to go" in line
    beside.see(at("b", State.HELD, held=0))
    assert "about 20 s to go" in beside.see(stopped)
