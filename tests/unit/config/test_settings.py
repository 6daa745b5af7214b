"""The settings as words: sample, reference table, what holds."""

import json
import re
from pathlib import Path

from drainer.config.load import Loaded, load
from drainer.config.model import Config
from drainer.config.schema import schema
from drainer.config.settings import sample, settings, shown, table


def test_the_sample_sets_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(sample())
    assert load([tmp_path]).config == Config()


def test_the_sample_without_its_comment_signs_is_a_file_of_all_settings(tmp_path: Path) -> None:
    text = re.sub(r"^#(?=\S|  \S|    )", "", sample(), flags=re.MULTILINE)
    (tmp_path / "config.yaml").write_text(text)
    loaded = load([tmp_path])
    assert [rule.name for rule in loaded.config.containers] == ["scratch-*", None]
    said = {".".join(map(str, key)) for key in loaded.origins if key[0] != "containers"}
    assert said == {s.key for s in settings() if not s.key.startswith("containers")}
    assert loaded.config.drain == Config().drain


def test_no_line_of_the_sample_is_wider_than_a_page() -> None:
    assert max(map(len, sample().splitlines())) <= 100


def test_every_setting_says_what_it_is_for_and_may_be() -> None:
    assert all(s.description and s.allowed for s in settings())
    assert len({s.key for s in settings()}) == len(settings())


def test_the_schema_refuses_what_drainer_refuses() -> None:
    document = schema()
    assert document["additionalProperties"] is False
    assert document["$defs"]["ContainerRule"]["additionalProperties"] is False
    assert "required" not in document


def test_what_holds_is_shown_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("drain:\n  parallel: 4\ncontainers:\n  - name: a\n    carry: false\n")
    rows = {key: (value, place) for key, value, place in shown(load([tmp_path]))}
    assert rows["drain.parallel"] == ("4", f"{path}:2")
    assert rows["resume.parallel"] == ("0", "default")
    value, place = rows["containers[0]"]
    assert json.loads(value) == {"name": "a", "carry": False}
    assert place == f"{path}:4"
    assert dict.fromkeys(rows).keys() > {key for key, _, _ in shown(Loaded())}


def test_the_table_has_a_row_for_each_setting() -> None:
    assert table().count("\n| `") == len(settings())
