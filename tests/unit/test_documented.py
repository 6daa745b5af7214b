"""Every command that README and docs show is run by a test, or by this project's own commands."""

import pytest

from tests.documented import ROOT, commands, files

PAGES = ("README.md", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md"))))

# Their commands are typed one by one, as they stand there, by tests/guest/test_package.py.
TYPED = ("docs/howto.md", "docs/tutorial.md")

README = {
    "drainer plan": "tests/guest/test_package.py, tests/lab/demo.py",
    "drainer report": "tests/guest/test_package.py",
    "apt install criu python3-venv": "tests/lab/recipe.py has them on every host",
    "python3 -m venv /opt/drainer": "tests/lab/install.py",
    "/opt/drainer/bin/pip install .": "tests/lab/install.py",
    "ln -sf /opt/drainer/bin/drainer /usr/local/bin/drainer": "tests/lab/install.py",
    "bash .packages/build 3.13": "tests/unit/test_packages.py",
    "apt install criu ./dist/drainer_*.deb": "tests/guest/test_package.py, by its whole name",
    "drainer install --enable": "tests/guest/suites.py",
    "drainer doctor --live": "tests/guest/test_doctor.py",
    "systemctl reboot": "tests/guest/test_reboot.py",
    "drainer uninstall": "tests/guest/test_trouble.py",
    "rm -r /usr/local/bin/drainer /opt/drainer /var/lib/drainer": "tests/guest/test_trouble.py",
    "bash tests/benchmark": "run by hand",
    "bash tests/demo": "run by hand",
    "bash tests/run": ".ci/run",
    "bash tests/campaign --rounds 64": "tests/guest/test_campaign.py, with fewer rounds",
}


def test_every_command_of_the_readme_has_its_place() -> None:
    assert set(commands("README.md")) == set(README)


@pytest.mark.parametrize("page", [p for p in PAGES if p not in {"README.md", *TYPED}])
def test_no_other_page_has_any(page: str) -> None:
    assert commands(page) == ()


@pytest.mark.parametrize("page", TYPED)
def test_pages_to_be_typed_have_commands(page: str) -> None:
    assert len(commands(page)) > 5


def test_comments_and_what_is_printed_are_no_commands() -> None:
    typed = commands("README.md")
    assert not [command for command in typed if "#" in command]
    assert not [command for command in typed if command.startswith(("CONTAINER", "Drain:"))]


def test_files_are_found_by_the_comment_at_their_head() -> None:
    assert files("docs/configuration.md").keys() == {"/etc/drainer/config.yaml"}
    assert files("docs/howto.md").keys() == {"/etc/drainer/hooks.d/90-metrics"}
    assert files("docs/hooks.md").keys() == {"/etc/drainer/hooks.d/50-shop"}
