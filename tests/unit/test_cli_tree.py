"""The shape of the command line, without running it."""

from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from pgqueue.cli import command
from pgqueue.cli.root import tree


def _commands(at: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, at
    for name, inner in getattr(at, "commands", {}).items():
        yield from _commands(inner, (*path, name))


EVERY = dict(_commands(get_command(tree())))


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_a_command_takes_the_global_options(path: tuple[str, ...]) -> None:
    options = {option for parameter in EVERY[path].params for option in parameter.opts}

    assert {"--dsn", "--schema", "--json", "--debug"} <= options


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_flag_says_which_variable_stands_for_it(path: tuple[str, ...]) -> None:
    prefix = "_".join([command.PREFIX, *path]).upper()
    context = EVERY[path].make_context("pgq", ["--help"], resilient_parsing=True, auto_envvar_prefix=prefix)

    silent = [
        parameter.opts
        for parameter in EVERY[path].params
        if parameter.param_type_name == "option" and "env var: PGQ_" not in parameter.get_help_record(context)[1]
    ]

    assert silent in ([], [["--version"]])
