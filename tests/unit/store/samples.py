"""Manifests for the tests of the store, and ways to make hostile ones."""

import hashlib
import random
from dataclasses import replace

from drainer.manifest import CheckpointState, Entry, Manifest, State
from drainer.model import EngineFacts, HostFacts, RestartPolicy
from drainer.networks import Address

A, B = "a" * 64, "b" * 64

PIECES = (
    *"\0\a\x1b\t\n\r\x7f\x85\u00a0\u2028\u2029\ufeff\u202e\u200b \\\"'`#:-?,[]{}&*!|>%@~=<.",
    *("é", "日本", "\U0001f433", "\U000e0041", "\ufffe", "\U0010ffff"),
    *("true", "no", "null", "~", "1e3", "0x1f", "017", "12:30:45", "2026-11-24T01:02:03Z", "-1"),
    *("- a", "a: b", "? ", "<<", "&a ", "*a", "!!str ", "---", "...", "# sha256: ", "%YAML 1.1"),
    *("\nversion: 2\n", "\n  - id: x\n", "[red]x[/red]", "\\u0041", "${x}", "x" * 200, "  "),
)


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - has to be repeatable, and guards nothing


def hostile(rng: random.Random) -> str:
    return "".join(rng.choices(PIECES, k=rng.randrange(6)))


def sample() -> Manifest:
    first = Entry(
        id=A,
        name="web",
        image="nginx:1",
        state=State.STOPPED,
        restart_policy=RestartPolicy("on-failure", 3),
        started_at="2026-11-24T01:02:03.123456789Z",
        addresses=(Address("bridge", "172.17.0.2", mac="02:42:ac:11:00:02"),),
        wave=1,
        needs=(B,),
        runtime_root="/run/docker/runtime-runc/moby",
        criu_options=("file-locks", "ghost-limit 1G"),
        attempts=2,
        checkpoint="drainer-20261124T010203Z",
        checkpoint_state=CheckpointState.COMPLETE,
        size=123_456_789_012,
        evidence="0123456789abcdef" * 4,
        files_checked="00000000-0000-4000-8000-000000000001",
        times={"planned": "2026-11-24T01:02:03Z", "stopped": "2026-11-24T01:02:04Z"},
        notes=("one", "two"),
    )
    second = Entry(B, "db", "pg", State.LEFT, RestartPolicy("always"), skip_reason="privileged")
    return Manifest(
        drain_id="20261124T010203Z",
        created="2026-11-24T01:02:03+00:00",
        trigger="shutdown",
        host=HostFacts("boot", "6.12.0", "x86_64", criu_features=("mem_dirty_track",)),
        engine=EngineFacts("26.1.5"),
        entries=(first, second),
    )


def hostile_manifest(rng: random.Random) -> Manifest:
    base = sample()
    entry = replace(
        base.entries[0],
        name=hostile(rng),
        image=hostile(rng),
        detail=hostile(rng),
        restart_policy=RestartPolicy(hostile(rng)),
        addresses=(Address(hostile(rng), hostile(rng)),),
        notes=tuple(hostile(rng) for _ in range(rng.randrange(3))),
        times={s.value: hostile(rng) for s in rng.sample(list(State), 3)},
    )
    return replace(
        base,
        drain_id=hostile(rng),
        trigger=hostile(rng),
        host=replace(base.host, kernel=hostile(rng), criu_problem=hostile(rng)),
        entries=(entry, base.entries[1]),
    )


def seal(body: str | bytes) -> bytes:
    """Give a text a checksum that fits, as somebody who knows how would."""
    data = body.encode() if isinstance(body, str) else body
    return data + f"# sha256: {hashlib.sha256(data).hexdigest()}\n".encode()


def unseal(data: bytes) -> str:
    return data[: data.rindex(b"# sha256: ")].decode()
