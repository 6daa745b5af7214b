"""What `drainer config` does."""

from dataclasses import asdict

import typer

from drainer.cli import output
from drainer.config import settings
from drainer.config.load import ConfigMistakesError, Loaded, load
from drainer.config.schema import schema
from drainer.errors import ExitCode


def show(*, as_json: bool) -> None:
    """Print every setting that holds, with where it is said."""
    loaded = load()
    if as_json:
        places = {key: place for key, _, place in settings.shown(loaded)}
        output.show_json(config=asdict(loaded.config), origins=places, files=list(loaded.files))
        return
    output.show_table(("SETTING", "VALUE", "SAID IN"), list(settings.shown(loaded)))


def validate(*, as_json: bool) -> None:
    """Read all files, and print every mistake."""
    problems: tuple[str, ...] = ()
    loaded = Loaded()
    try:
        loaded = load()
    except ConfigMistakesError as error:
        problems = tuple(map(str, error.problems))
    if as_json:
        output.show_json(problems=list(problems), files=list(loaded.files))
    else:
        for problem in problems:
            output.line(problem)
        if not problems:
            output.line(f"{', '.join(loaded.files) or 'no file'}: no mistake")
    raise typer.Exit(ExitCode.CONFIG_INVALID if problems else ExitCode.OK)


def generate() -> None:
    """Print a file with every setting, its default and its meaning."""
    output.line(settings.sample().rstrip())


def print_schema() -> None:
    """Print the JSON Schema of a file, for editors."""
    output.line(output.as_json(schema()))
