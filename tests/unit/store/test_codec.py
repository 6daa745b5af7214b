from contextlib import suppress
from dataclasses import replace

import pytest
import yaml

from drainer.errors import ManifestInvalidError
from drainer.manifest import Entry
from drainer.store.codec import LIMIT, Texts, dump, load
from tests.unit.store.samples import A, hostile_manifest, sample, seal, seeded, unseal


def refusal(data: bytes) -> str:
    with pytest.raises(ManifestInvalidError) as caught:
        load(data)
    assert caught.value.hint
    assert caught.value.message.isprintable()
    assert caught.value.message.startswith("manifest.yaml: ")
    return caught.value.message


def edited(old: str, new: str) -> bytes:
    text = unseal(dump(sample()))
    assert text.count(old) >= 1
    return seal(text.replace(old, new, 1))


def test_round_trip() -> None:
    assert load(dump(sample())) == sample()


def test_what_is_known_of_entries_changes_nothing() -> None:
    known: Texts = {}
    for number in range(100):
        manifest = hostile_manifest(seeded(number))
        assert dump(manifest, known) == dump(manifest)
        first, *others = manifest.entries or (None,)
        if first:
            changed = replace(manifest, entries=(replace(first, detail="later"), *others))
            assert dump(changed, known) == dump(changed) != dump(manifest)
        assert dump(replace(manifest, entries=()), known) == dump(replace(manifest, entries=()))


def test_round_trip_of_hostile_strings() -> None:
    for number in range(400):
        manifest = hostile_manifest(seeded(number))
        data = dump(manifest)
        assert data.isascii()
        assert not set(data) & set(range(32)) - {ord("\n")}
        assert load(data) == manifest, number


def test_it_is_read_alike_without_the_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    data = [dump(hostile_manifest(seeded(number))) for number in range(20)]
    manifests = [load(one) for one in data]
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert [load(one) for one in data] == manifests


def test_any_yaml_reader_agrees() -> None:
    plain = yaml.safe_load(dump(sample()))
    assert plain["version"] == 1
    assert plain["entries"][0]["started_at"] == "2026-11-24T01:02:03.123456789Z"
    assert plain["entries"][1]["state"] == "left"


def test_lone_surrogates_become_escapes() -> None:
    entry = replace(sample().entries[0], detail="x\udcff\ud800")
    read = load(dump(replace(sample(), entries=(entry,))))
    assert read.entries[0].detail == "x\\udcff\\ud800"


def test_every_truncation_is_refused() -> None:
    data = dump(sample())
    for length in range(len(data)):
        assert "cut off" in refusal(data[:length])


def test_every_changed_byte_is_refused() -> None:
    data = dump(sample())
    for at in range(len(data)):
        refusal(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def test_random_damage_behind_a_fitting_checksum_is_refused_or_read_cleanly() -> None:
    body = unseal(dump(sample()))
    rng = seeded(7)
    read = 0
    for _ in range(300):
        at = rng.randrange(len(body))
        junk = rng.choice(["[", "{", "\t", "&x ", "*x", "!!x ", "- ", ": ", "'", '"', "\n", "\0"])
        with suppress(ManifestInvalidError):
            load(seal(body[:at] + junk + body[at + rng.randrange(3) :]))
            read += 1
    assert read < 300


def test_something_appended_is_refused() -> None:
    assert "edited" in refusal(dump(sample()) + b"x: y\n")
    assert "edited" in refusal(dump(sample()).replace(b"\n", b"\r\n"))


def test_an_edit_is_named_as_a_possible_cause() -> None:
    assert "edited" in refusal(dump(sample()).replace(b"name: web", b"name: wob"))


@pytest.mark.parametrize("sealed", [True, False])
def test_a_newer_version_is_named_before_anything_else_is_judged(sealed: bool) -> None:
    body = "version: 2\nunheard: [of\n"
    message = refusal(seal(body) if sealed else body.encode())
    assert "written by a newer drainer (version 2; this one knows 1)" in message


def test_an_older_version_is_refused() -> None:
    assert "version 0 is not known" in refusal(edited("version: 1", "version: 0"))


@pytest.mark.parametrize("new", ["", "version: one\n", "version: true\n", "version: '1'\n"])
def test_no_proper_version_is_refused(new: str) -> None:
    assert "version" in refusal(edited("version: 1\n", new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("state: stopped", "state: asleep", "entries[0].state"),
        ("paused: false", "paused: 0", "entries[0].paused"),
        ("paused: false", "paused: no", "entries[0].paused"),
        ("paused: false", "paused: null", "entries[0].paused"),
        ("wave: 1", "wave: '1'", "entries[0].wave"),
        ("wave: 1", "wave: 01", "entries[0].wave"),
        ("wave: 1", "wave: 1.0", "entries[0].wave"),
        ("wave: 1", "wave: 99999999999999999999", "entries[0].wave"),
        ("name: web", "name: 5", "entries[0].name"),
        ("name: web", "name: [web]", "entries[0].name"),
        ("name: web", "nome: web", "entries[0].nome: not a known key"),
        ("max_retries: 3", "max_tries: 3", "entries[0].restart_policy.max_tries"),
        ("network: bridge", "net: bridge", "entries[0].addresses[0].net"),
        ("boot_id: boot", "boot: boot", "host.boot"),
        ("stopped: '2026", "asleep: '2026", "entries[0].times.asleep: not a state"),
        ("evidence: 0123", "evidence: 123", "entries[0].evidence: not a SHA-256"),
        (f"id: {A}", "id: aaaa", "entries[0].id"),
        (f"id: {A}", f"id: {A.upper()}", "entries[0].id"),
        (f"id: {A}", f"id: {'b' * 64}", "entries[1].id: given twice"),
        ("- bbbb", "- ../b", "entries[0].needs[0]"),
        ("checkpoint: drainer-", "checkpoint: ../drainer-", "entries[0].checkpoint"),
        ("checkpoint: drainer-", "checkpoint: drainer..", "entries[0].checkpoint"),
        ("checkpoint: drainer-", "checkpoint: -drainer", "entries[0].checkpoint"),
        ("root_dir: /var", "root_dir: var", "engine.root_dir"),
        ("root_dir: /var", "root_dir: /var/../etc", "engine.root_dir"),
        ("trigger: shutdown\n", "", "trigger"),
        ("runtime_root: /run/", "runtime_root: run/", "entries[0].runtime_root"),
        ("runtime_root: /run/", "runtime_root: /run/../", "entries[0].runtime_root"),
        ("- file-locks", "- action-script /tmp/x", "entries[0].criu_options[0]"),
        ("- file-locks", r'- "file-locks\nlibdir x"', "entries[0].criu_options[0]"),
    ],
)
def test_a_wrong_value_is_named_with_line_and_path(old: str, new: str, said: str) -> None:
    message = refusal(edited(old, new))
    assert said in message
    assert message.startswith("manifest.yaml: line ")


def test_the_line_is_the_right_one() -> None:
    data = edited("state: stopped", "state: asleep")
    line = data.decode().splitlines().index("  state: asleep") + 1
    assert f"line {line}: entries[0].state" in refusal(data)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: web", "name: web\n  name: web", "name: given twice"),
        ("trigger: shutdown", "trigger: &t shutdown", "anchor"),
        ("trigger: shutdown", "trigger: *t", "anchor or alias"),
        ("trigger: shutdown", "trigger: !!str shutdown", "a tag"),
        ("trigger: shutdown", "trigger: !!python/object:x {}", "a tag"),
        ("trigger: shutdown", "<<: {trigger: shutdown}", "<<"),
        ("trigger: shutdown", "? [a]\n: b", "a key that is not a string"),
        ("trigger: shutdown", "trigger: [", ""),
        ("trigger: shutdown", "trigger: \x00", ""),
        ("trigger: shutdown", "trigger: é", "bytes that drainer never writes"),
        ("trigger: shutdown", r'trigger: "\ud800"', ""),
        ("trigger: shutdown", "trigger: " + "[" * 100_000, ""),
        ("trigger: shutdown", "trigger: " + "[" * 20 + "]" * 20, "nested too deeply"),
        ("trigger: shutdown", "trigger: " + "{a: " * 20 + "}" * 20, "nested too deeply"),
    ],
)
def test_yaml_beyond_the_plain_part_is_refused(old: str, new: str, said: str) -> None:
    assert said in refusal(edited(old, new))


@pytest.mark.parametrize("escape", [r"\U00110000", r"\UFFFFFFFF"])
def test_an_escape_beyond_unicode_is_refused(escape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = edited("trigger: shutdown", f'trigger: "{escape}"')
    refusal(data)
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    refusal(data)


@pytest.mark.parametrize("body", ["", "# nothing\n", "5\n", "- a\n", "null\n", "{}\n", "'x'\n"])
def test_another_document_is_refused(body: str) -> None:
    refusal(seal(body))


def test_a_second_document_is_refused() -> None:
    body = unseal(dump(sample()))
    assert "second document" in refusal(seal(f"{body}---\n{body}"))


def test_too_large_a_text_is_refused() -> None:
    assert "larger" in refusal(b"#" * (LIMIT + 1))


def test_what_could_not_be_read_again_is_not_written() -> None:
    entry: Entry = sample().entries[0]
    for broken in (
        replace(sample(), entries=(entry, entry)),
        replace(sample(), entries=(replace(entry, id="web"),)),
        replace(sample(), entries=(replace(entry, checkpoint="a/b"),)),
        replace(sample(), entries=(replace(entry, detail="x" * LIMIT),)),
        replace(sample(), version=2),
    ):
        with pytest.raises(ManifestInvalidError, match="not written"):
            dump(broken)
