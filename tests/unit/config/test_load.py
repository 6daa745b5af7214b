"""From files to settings: what is merged, where it is said, what is refused and on which line."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drainer.config.choices import DumpFallback, Mode, RouteChoice
from drainer.config.load import ConfigMistakesError, Loaded, load
from drainer.config.model import Config, ContainerRule, Drain
from drainer.errors import ConfigInvalidError


def put(root: Path, text: str, name: str = "config.yaml") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def mistakes(root: Path) -> list[str]:
    with pytest.raises(ConfigMistakesError) as refused:
        load([root])
    return [str(problem).removeprefix(f"{root}/") for problem in refused.value.problems]


@pytest.mark.parametrize("text", ["", "# nothing\n", "drain:\nresume:\n  # parallel: 2\n", "\n\n"])
def test_nothing_said_leaves_every_default(tmp_path: Path, text: str) -> None:
    put(tmp_path, text)
    assert load([tmp_path]).config == Config()


def test_every_setting_is_read_and_remembers_its_line(tmp_path: Path) -> None:
    path = put(
        tmp_path,
        "route: engine\nmode: opt-in\ndrain:\n  parallel: 3\n  on_dump_failure: stop\n"
        "containers:\n  - name: db-*\n    carry: true\n    priority: -5\n",
    )
    loaded = load([tmp_path])
    assert loaded == Loaded(
        Config(
            RouteChoice.ENGINE,
            Mode.OPT_IN,
            Drain(parallel=3, on_dump_failure=DumpFallback.STOP),
            containers=(ContainerRule(name="db-*", carry=True, priority=-5),),
        ),
        {
            ("route",): f"{path}:1",
            ("mode",): f"{path}:2",
            ("drain", "parallel"): f"{path}:4",
            ("drain", "on_dump_failure"): f"{path}:5",
            ("containers", 0): f"{path}:7",
        },
        (str(path),),
    )


def test_a_later_file_wins_setting_by_setting_and_its_rules_come_first(tmp_path: Path) -> None:
    put(
        tmp_path,
        "route: engine\ndrain:\n  parallel: 3\ncontainers:\n  - name: a\n    carry: true\n",
    )
    late = put(
        tmp_path,
        "drain:\n  container_timeout: 60\n  parallel: 1\ncontainers:\n  - name: b\n  - name: c\n",
        "config.d/50-site.yaml",
    )
    loaded = load([tmp_path])
    assert loaded.config.route is RouteChoice.ENGINE
    assert loaded.config.drain == Drain(parallel=1, container_timeout=60)
    assert [rule.name for rule in loaded.config.containers] == ["b", "c", "a"]
    assert loaded.origins["drain", "parallel"] == f"{late}:3"
    assert loaded.origins["containers", 1] == f"{late}:6"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("rout: auto\n", "config.yaml:1: rout: not a known key; did you mean route?"),
        (
            "drain:\n  paralel: 2\n",
            "config.yaml:2: drain.paralel: not a known key; did you mean parallel?",
        ),
        ("zzz: 1\n", "config.yaml:1: zzz: not a known key"),
        (
            "route: docker\n",
            "config.yaml:1: route: should be 'auto', 'engine' or 'runtime'",
        ),
        (
            "drain:\n  parallel: 65\n",
            "config.yaml:2: drain.parallel: should be at most 64",
        ),
        (
            'drain:\n  parallel: "2"\n',
            "config.yaml:2: drain.parallel: should be a whole number",
        ),
        (
            "drain:\n  parallel: 010\n",
            "config.yaml:2: drain.parallel: should be a whole number",
        ),
        ("mode: no\n", "config.yaml:1: mode: should be 'opt-out' or 'opt-in'"),
        (
            "containers:\n  - name: a\n    carry: no\n",
            "config.yaml:3: containers[0].carry: should be true or false",
        ),
        (
            "containers:\n  - nam: a\n",
            "config.yaml:2: containers[0].nam: not a known key; did you mean name?",
        ),
        ("route: auto\nroute: engine\n", "config.yaml:2: route: given twice"),
        ("a: &x 1\nb: *x\n", "config.yaml:1: an anchor or alias"),
        ("- route\n", "config.yaml:1: not `key: value`"),
        ("drain: 3\n", "config.yaml:1: drain: should be a mapping"),
        ("route: null\n", "config.yaml:1: route: should be 'auto', 'engine' or 'runtime'"),
        ("route: [\n", "config.yaml:2: did not find expected node content"),
        ("--- 1\n--- 2\n", "config.yaml:2: a second document or a directive"),
    ],
)
def test_a_mistake_has_its_file_line_and_key(tmp_path: Path, text: str, wanted: str) -> None:
    put(tmp_path, text)
    assert mistakes(tmp_path) == [wanted]


def test_the_number_of_rules_is_limited_for_each_file(tmp_path: Path) -> None:
    put(tmp_path, "containers:\n" + "  - name: a\n" * 1000)
    put(tmp_path, "containers:\n" + "  - name: b\n" * 1000, "config.d/10-a.yaml")
    assert len(load([tmp_path]).config.containers) == 2000
    put(tmp_path, "containers:\n" + "  - name: c\n" * 1001, "config.d/20-b.yaml")
    assert mistakes(tmp_path) == [
        "config.d/20-b.yaml:2: containers: should have at most 1000 items"
    ]


def test_all_mistakes_of_all_files_are_told(tmp_path: Path) -> None:
    put(tmp_path, "route: x\nmode: y\n")
    put(tmp_path, "drain:\n  z: 1\n", "config.d/10-a.yaml").chmod(0o666)
    put(tmp_path, "drain:\n  z: 1\n", "config.d/20-b.yaml")
    found = mistakes(tmp_path)
    assert [line.split(": ")[0] for line in found] == [
        "config.yaml:1",
        "config.yaml:2",
        "config.d/10-a.yaml",
        "config.d/20-b.yaml:2",
    ]
    with pytest.raises(ConfigInvalidError, match=r"config.yaml:1: route: .* \(and 3 more\)"):
        load([tmp_path])


def test_control_characters_in_a_key_reach_no_terminal(tmp_path: Path) -> None:
    put(tmp_path, '"\\u001b[31mred": 1\n')
    (line,) = mistakes(tmp_path)
    assert line.isprintable()


@given(st.text(max_size=60))
def test_no_text_leads_to_another_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    root = tmp_path_factory.mktemp("etc")
    (root / "config.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    with suppress(ConfigInvalidError):
        load([root])
