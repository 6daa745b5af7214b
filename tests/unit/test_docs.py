"""What the documents say is what the code does."""

import dataclasses
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from drainer.budget import TELLING, UNDO_SECONDS
from drainer.cli import installing, output
from drainer.cli.app import app
from drainer.cli.resuming import ENGINE_WAIT
from drainer.cli.wiring import GRACE, LOCK_WAIT, Settings
from drainer.config.load import load
from drainer.config.model import Config
from drainer.config.settings import table
from drainer.doctor import rootfs
from drainer.doctor.checks import diagnose
from drainer.errors import ExitCode
from drainer.install import Action, Outcome
from drainer.labels import LABELS
from drainer.manifest import CheckpointState, Entry, Manifest, State
from drainer.model import Container, EngineFacts, HostFacts, RestartPolicy
from drainer.networks import Address
from drainer.priority import HIGHEST, LOWEST
from drainer.recover import Step, next_step
from drainer.report.words import COLUMNS
from drainer.room import BYTES_KEPT
from drainer.rules import NOTES, REFUSALS, SKIPS
from drainer.runtime.abort import FAIL_SECONDS, KILL_SECONDS, UNLOCK_SECONDS
from drainer.takedown import LEAST_SECONDS
from drainer.units import DRAIN_UNIT, RESUME_UNIT, template
from tests.lab.install import INSTALL
from tests.unit.command import Drainer
from tests.unit.doctor.facts import FACTS as DOCTOR_FACTS
from tests.unit.doctor.facts import SURROUNDINGS
from tests.unit.world import World

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "drainer"
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.glob("*.md")))

GROUP = typer.main.get_command(app)
COMMANDS = {
    f"{command.name} {inner.name}" if inner is not command else command.name: inner
    for command in getattr(GROUP, "commands", {}).values()
    for inner in getattr(command, "commands", {"": command}).values()
}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """Return what stands between a heading and the next one of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no heading {heading!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the tables in a text, without their headings."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = [n for n, cells in enumerate(table) if set("".join(cells)) <= {"-"}]
    headings = {n - 1 for n in rules}
    return [cells for n, cells in enumerate(table) if n not in headings.union(rules)]


def first_column(text: str) -> list[str]:
    return [cells[0].strip("`") for cells in rows(text)]


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def blocks(text: str) -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    text = without_code(page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
    return slugs | set(re.findall(r'<a id="(\w+)">', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = without_code(page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.is_file(), target
        assert not anchor or anchor in anchors(file), target


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached = {PAGES[0]}
    todo = [PAGES[0]]
    while todo:
        page = todo.pop()
        for name in re.findall(r"\]\(([^)#\s]+\.md)", page.read_text(encoding="utf-8")):
            file = (page.parent / name).resolve()
            if file not in reached:
                reached.add(file)
                todo.append(file)
    assert reached == set(PAGES)


def test_the_readme_installs_as_the_lab_does() -> None:
    lines = section(read("README.md"), "Install").splitlines()
    begin = lines.index(INSTALL[0])
    assert tuple(lines[begin : begin + len(INSTALL)]) == INSTALL


def test_the_readme_names_only_commands_and_options_that_exist() -> None:
    text = read("README.md") + "".join(page.read_text(encoding="utf-8") for page in PAGES[1:])
    code = "\n".join((*re.findall(r"`([^`\n]+)`", without_code(text)), *blocks(text)))
    used = re.findall(
        r"^(?:# )?drainer ((?:config )?[a-z][a-z-]+)((?: --[a-z-]+)*)", code, re.MULTILINE
    )
    assert {verb for verb, _ in used} == set(COMMANDS)
    for verb, options in used:
        assert set(options.split()) <= {*declared(verb), "--help"}, verb


@pytest.mark.parametrize("script", ["tests/demo", "tests/run"])
def test_the_readme_s_two_commands_are_there(script: str) -> None:
    assert f"bash {script}\n" in blocks(read("README.md"))
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)


def unfolded(block: str) -> str:
    """Put what a table has folded back onto its line."""
    return re.sub(r"\n {40,}", " ", block)


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_excerpts_say_what_drainer_says(page: str) -> None:
    rules = {rule.id: rule for rule in (*SKIPS, *NOTES)}
    printed = [unfolded(block) for block in blocks(read(page)) if block.startswith("# drainer ")]
    text = "\n".join(printed)
    skipped = re.findall(r"^\S+ +skip +- +- +- +(\w+): (.*)$", text, re.MULTILINE)
    left = re.findall(r"^\S+ +left +- .* (\w+): (.*)$", text, re.MULTILINE)
    assert skipped
    assert left
    for rule_id, sentence in skipped + left:
        assert rules[rule_id].sentence == sentence
    told = re.findall(r"^\S+ +([a-z-]+) +\d.* \d+(?:\.\d)? [KM]iB$", text, re.MULTILINE)
    assert set(told) <= {*State}
    assert State.RESTORED in told
    heads = ("  ".join(COLUMNS[:3]), "VERDICT  ROUTE    WAVE")
    assert all(head[:18] in text for head in heads)
    advised = re.findall(r"^  (\w+): ((?:.*\n)(?:    .*\n)*)", text, re.MULTILINE)
    for rule_id, words in advised:
        if rule_id in rules:
            assert " ".join(words.split()) == rules[rule_id].advice


def test_the_checks_of_the_tutorial_are_those_of_the_doctor() -> None:
    shown = re.findall(r"^(\w+) +(?:ok|note|problem) ", read("docs/tutorial.md"), re.MULTILINE)
    assert shown == [check.id for check in diagnose(DOCTOR_FACTS).checks]


def test_exit_codes_are_all_on_their_page_in_order() -> None:
    table = rows(section(read("docs/exit-codes.md"), "Exit codes"))
    assert [cells[:3] for cells in table] == [
        [str(int(code)), f"`{code.name}`", code.meaning] for code in ExitCode
    ]
    assert all(cells[3] for cells in table)


def test_exit_codes_that_nothing_uses_are_called_reserved() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    for name, advice in ((c[1].strip("`"), c[3]) for c in rows(read("docs/exit-codes.md"))):
        used = name in {"OK", "USAGE"} or f"ExitCode.{name}" in code
        assert advice.startswith("Reserved") == (not used), name


MANIFEST_SECTIONS = {
    "Fields": Manifest,
    "entries": Entry,
    "host": HostFacts,
    "engine": EngineFacts,
}


@pytest.mark.parametrize(("heading", "kind"), MANIFEST_SECTIONS.items())
def test_every_field_of_the_manifest_is_on_its_page(heading: str, kind: type) -> None:
    described = first_column(section(read("docs/manifest.md"), heading))
    assert sorted(described) == sorted(field.name for field in dataclasses.fields(kind))


@pytest.mark.parametrize("kind", [RestartPolicy, Address])
def test_small_types_are_described_where_they_stand(kind: type) -> None:
    text = section(read("docs/manifest.md"), "entries")
    assert [f.name for f in dataclasses.fields(kind) if f"`{f.name}`" not in text] == []


def test_every_state_is_on_the_manifest_s_page() -> None:
    text = read("docs/manifest.md")
    assert first_column(section(text, "States")) == list(State)
    assert first_column(section(text, "Checkpoints")) == list(CheckpointState)


def _steps(state: State) -> list[Step]:
    """Return the steps of `docs/manifest.md`, in the order of its columns."""
    identity = "a" * 64
    entry = Entry(
        identity,
        "web",
        "nginx",
        state,
        RestartPolicy(),
        started_at="then",
        checkpoint_state=CheckpointState.COMPLETE,
    )
    broken = replace(entry, checkpoint_state=CheckpointState.UNUSABLE)
    up = Container(identity, "web", started_at="then")
    down = replace(up, running=False)
    cases = (
        (entry, None),
        (entry, up),
        (entry, down),
        (broken, down),
        (entry, replace(down, started_at="later")),
    )
    return [next_step(e, c) for e, c in cases]


def test_what_recovers_from_what_is_what_recover_decides() -> None:
    text = section(read("docs/manifest.md"), "What recovers from what")
    cells = [[cell.strip("`") for cell in row] for row in rows(text)]
    assert cells[: len(State)] == [[state, *_steps(state)] for state in State]
    assert {row[0] for row in cells[len(State) :]} == set(Step)


def test_the_architecture_says_what_is_done_in_every_state() -> None:
    text = section(read("docs/architecture.md"), "Write-ahead states")
    after = text.rpartition("```")[2]
    assert [state for state in State if f"`{state}`" not in after] == []


def test_every_module_is_on_the_map_and_no_other() -> None:
    modules = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")}
    named = first_column(section(read("docs/architecture.md"), "Modules"))
    assert set(named) == modules
    assert len(named) == len(modules)


def test_the_architecture_names_files_that_exist() -> None:
    text = without_code(read("docs/architecture.md"))
    places = (ROOT, PACKAGE, PACKAGE / "rules", ROOT / "tests" / "unit")
    for name in re.findall(r"`([\w/.-]+\.(?:py|md|service))`", text):
        where = (*places, ROOT / "systemd")
        assert any((place / name).is_file() for place in where), name


def declared(verb: str) -> list[str]:
    command = COMMANDS[verb] if verb else GROUP
    return [o for p in command.params for o in (*p.opts, *p.secondary_opts) if o.startswith("--")]


@pytest.mark.parametrize("verb", ["", *COMMANDS])
def test_every_option_is_in_the_reference(verb: str) -> None:
    text = section(read("docs/commands.md"), verb or "drainer")
    table = first_column(text)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    assert set(declared(verb)) <= named
    assert set(table) <= set(declared(verb))
    assert named <= {*declared(verb), "--help"}


@pytest.mark.parametrize("verb", ["", *COMMANDS])
def test_every_command_has_help_with_all_its_options(verb: str) -> None:
    words = [*verb.split(), "--help"]
    result = CliRunner().invoke(app, words, env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == 0
    assert [option for option in declared(verb) if option not in result.output] == []


def test_the_reference_names_every_default() -> None:
    for verb, command in (("", GROUP), *COMMANDS.items()):
        table = rows(section(read("docs/commands.md"), verb or "drainer"))
        given = {cells[0].strip("`"): cells[1].strip("`") for cells in table}
        for parameter in command.params:
            default = parameter.default
            if default is not None and not isinstance(default, bool):
                wanted = f"{default:g}" if isinstance(default, float) else str(default)
                assert given[parameter.opts[0]] == wanted


def test_the_configuration_s_page_has_every_setting_as_it_is() -> None:
    assert f"{section(read('docs/configuration.md'), 'Settings')}".startswith(f"\n{table()}")


def test_the_configuration_s_page_begins_with_a_file_that_is_one(etc: Path) -> None:
    etc.mkdir()
    (example,) = re.findall(
        r"^```yaml\n(.*?)^```", read("docs/configuration.md"), re.MULTILINE | re.DOTALL
    )
    (etc / "config.yaml").write_text(example)
    assert len(load().config.containers) == example.count("- ")


def test_the_units_numbers_are_the_documented_ones() -> None:
    limits = []
    for unit, verb, key, budget in (
        (DRAIN_UNIT, "drain", "TimeoutStopSec", Config().drain.budget),
        (RESUME_UNIT, "resume", "TimeoutStartSec", Config().resume.budget),
    ):
        text = template(unit)
        assert f"(`{verb}.budget`, {budget})" in text
        limit = re.findall(rf"^{key}=(\d+)$", text, re.MULTILINE)[0]
        limits.append((budget, limit))
        assert f"(configuration.md#settings), {budget} |" in section(read("docs/commands.md"), verb)
        assert f"{verb} by the unit has {budget} seconds" in read("README.md")
        assert f"{int(limit) // 60} minutes" in section(
            read("README.md"), "What it does to your host"
        )
    (drain, drain_limit), (resume, resume_limit) = limits
    text = " ".join(section(read("docs/architecture.md"), "The units").split())
    assert f"budget ({drain} s, {resume} s) is below" in text
    assert f"time limit ({drain_limit} s, {resume_limit} s)" in text


def test_waits_are_the_documented_ones() -> None:
    for verb in ("drain", "resume"):
        assert f"{LOCK_WAIT:g} s for another" in section(read("docs/commands.md"), verb)
    assert f"{ENGINE_WAIT:g} s for Docker" in section(read("docs/commands.md"), "resume")
    assert f"{GRACE:g} seconds" in read("docs/exit-codes.md")


def test_labels_and_margins_are_the_documented_ones() -> None:
    labels = section(read("docs/commands.md"), "Labels")
    assert first_column(labels) == list(LABELS)
    for text in (labels, section(read("README.md"), "Day to day")):
        assert f"from {LOWEST} to {HIGHEST}" in " ".join(text.split())
    assert f"{UNDO_SECONDS:g} seconds to undo" in " ".join(read("docs/commands.md").split())
    assert f"{UNDO_SECONDS:g} seconds before" in section(read("docs/architecture.md"), "Time")
    for page in ("docs/commands.md", "docs/architecture.md"):
        assert f"at least {TELLING >> 20} MiB" in " ".join(read(page).split())
    room = section(read("docs/architecture.md"), "Room")
    assert f"{BYTES_KEPT >> 20} MiB of each file system" in room
    late = section(read("docs/routes.md"), "Dumps that take too long")
    assert f"after {FAIL_SECONDS:g} seconds" in " ".join(late.split())
    assert f"{UNLOCK_SECONDS:g} seconds at most" in " ".join(late.split())
    units = section(read("docs/architecture.md"), "The units")
    assert f"to {GRACE:g} s after the deadline" in " ".join(units.split())
    assert FAIL_SECONDS + KILL_SECONDS + UNLOCK_SECONDS < UNDO_SECONDS < LEAST_SECONDS


def test_the_format_version_is_the_documented_one() -> None:
    assert f'`"{output.FORMAT_VERSION}"`' in section(read("docs/json.md"), "The rule")


def _json_tables(heading: str) -> list[set[str]]:
    """Return the names of the fields in each table of a section of `docs/json.md`."""
    tables = re.split(r"^\|---.*$", section(read("docs/json.md"), heading), flags=re.MULTILINE)
    return [set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) for table in tables[1:]]


@pytest.fixture
def drainer(drainer: Drainer, world: World) -> Drainer:
    world.add("web", "always", tty=True)
    world.add("db", "always")
    return drainer


def _fields(drainer: Drainer, *words: str) -> set[str]:
    drainer(*words, "--json")
    return set(drainer.json) - {"format_version"}


def test_the_json_of_a_plan_has_the_documented_fields(drainer: Drainer) -> None:
    top, entry = _json_tables("drainer plan")
    assert _fields(drainer, "plan") == top
    assert [set(e) for e in drainer.json["entries"]] == [entry, entry]
    whole, rule = _json_tables("Explanation")
    assert _fields(drainer, "plan", "--explain", "web") == {"explanation"}
    assert set(drainer.json["explanation"]) == whole
    assert all(set(r) == rule for r in drainer.json["explanation"]["rules"])
    assert _fields(drainer, "plan") == top
    prose = section(read("docs/json.md"), "drainer plan").rpartition("\nA finding")[2]
    findings = [f for e in drainer.json["entries"] for f in e["reasons"]]
    assert [name for name in findings[0] if f"`{name}`" not in prose] == []


def test_the_json_of_the_others_has_the_documented_fields(drainer: Drainer) -> None:
    assert _fields(drainer, "drain") == _json_tables("drainer drain")[0]
    drainer.world.reboot()
    assert _fields(drainer, "resume") == _json_tables("drainer resume")[0]
    assert set(drainer.json["manifest"]) == {f.name for f in dataclasses.fields(Manifest)}
    assert _fields(drainer, "resume") == _json_tables("drainer resume")[0]
    assert drainer.json["manifest"] is None
    top, row = _json_tables("drainer status")
    assert _fields(drainer, "status") == top
    assert [set(r) for r in drainer.json["docker"].values()] == [row, row]
    whole, container = _json_tables("drainer report")
    assert _fields(drainer, "report") == {"report", "failed_drain"}
    assert set(drainer.json["report"]) == whole
    assert [set(c) for c in drainer.json["report"]["containers"]] == [container, container]


def test_the_json_of_a_diagnosis_has_the_documented_fields(
    drainer: Drainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "surroundings", lambda _self: SURROUNDINGS)
    monkeypatch.setattr(rootfs, "archive", lambda: b"")
    top, check, route, trial = _json_tables("drainer doctor")
    assert _fields(drainer, "doctor") == top
    assert _fields(drainer, "doctor", "--live") == top
    assert all(set(c) == check for c in drainer.json["checks"])
    assert [set(r) for r in drainer.json["routes"]] == [route, route]
    assert [set(t) for t in drainer.json["trials"]] == [trial, trial]


def test_every_check_is_in_the_reference() -> None:
    text = section(read("docs/commands.md"), "The checks")
    assert first_column(text) == [check.id for check in diagnose(DOCTOR_FACTS).checks]


def test_the_json_of_an_error_has_the_documented_fields(drainer: Drainer) -> None:
    top, inner = _json_tables("Errors")
    assert _fields(drainer, "status") == top
    assert set(drainer.json["error"]) == inner


def test_the_json_of_the_installer_has_the_documented_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    top, action = _json_tables("drainer install, drainer uninstall")
    installing._show(Outcome((Action("write", "/x", changed=True),)), as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert set(document) == top | {"format_version"}
    assert [set(a) for a in document["actions"]] == [action]


def test_refusals_have_the_heading_that_is_linked_to() -> None:
    text = section(read("docs/skip-reasons.md"), "Refusals: nothing can be carried on this host")
    assert [rule.id for rule in REFUSALS if f'id="{rule.id}"' not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_every_label_on_a_page_is_known(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"\b(drainer\.[a-z-]+)=", text)) <= set(LABELS)


def test_the_examples_of_settings_are_valid(etc: Path) -> None:
    etc.mkdir()
    examples = 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            if re.search(r"^(containers|drain|resume):", block, re.MULTILINE):
                (etc / "config.yaml").write_text(block)
                assert load().files
                examples += 1
    assert examples >= 2
