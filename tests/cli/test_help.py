"""The help of every command of both programs: its form, checked for each command of the Click trees."""

from __future__ import annotations

import inspect
import re

import click
import pytest

from tests.cli.command_tree import ALL, DEVLXDCTL
from tests.support.program import Result, run

GROUPS = [name for name, command in ALL.items() if isinstance(command, click.Group)]
OPTIONS = [
    (name, param.opts[-1])
    for name, command in ALL.items()
    for param in command.params
    if isinstance(param, click.Option) and not param.is_flag
]


def context(name: str) -> click.Context:
    """Return the context of a command at 80 columns, with those of its groups."""
    root, *words = name.split()
    # With the settings, since Click keeps the help option of the first context of a command.
    found = click.Context(ALL[root], info_name=root, terminal_width=80, **ALL[root].context_settings)
    for word in words:
        assert isinstance(found.command, click.Group)
        command = found.command.get_command(found, word)
        assert command is not None
        found = click.Context(command, info_name=word, parent=found, terminal_width=80)
    return found


def first_line(command: click.Command) -> str:
    """Return the first line of the help of a command."""
    return inspect.cleandoc(command.help or "").partition("\n")[0]


def examples(command: click.Command) -> list[str]:
    """Return the lines of the examples, each without its indentation."""
    block = re.search(r"\x08\nExamples?:\n((?:  .*\n?)+)", inspect.cleandoc(command.help or ""))
    return [line.removeprefix("  ") for line in block[1].splitlines()] if block else []


@pytest.mark.parametrize("name", ALL)
def test_help_begins_with_one_sentence_of_at_most_60_characters(name: str) -> None:
    line = first_line(ALL[name])
    assert re.fullmatch(r"[A-Z].{0,58}\.", line), line
    assert f"\n\n  {line}\n" in context(name).get_help()


@pytest.mark.parametrize("name", GROUPS)
def test_help_of_group_lists_commands_with_their_whole_first_line(name: str) -> None:
    group = ALL[name]
    assert isinstance(group, click.Group)
    lines = context(name).get_help().splitlines()
    for word, command in group.commands.items():
        listed = [line for line in lines if re.match(f"  {re.escape(word)}  +[A-Z]", line)]
        assert [line.split(None, 1)[1] for line in listed] == [first_line(command)]
        assert len(listed[0]) <= 80


@pytest.mark.parametrize("name", ALL)
def test_help_has_examples_that_call_the_command(name: str) -> None:
    command = ALL[name]
    found = examples(command)
    program = name.partition(" ")[0]
    called = f"{program} " if isinstance(command, click.Group) else name.partition(" ")[2]
    assert any(program in line and called in line for line in found), found
    # One example has the title "Example:", several have "Examples:".
    commands = [line for line in found if program in line]
    title = "Examples:" if len(commands) > 1 else "Example:"
    assert f"\b\n{title}\n" in inspect.cleandoc(command.help or "")


@pytest.mark.parametrize("name", DEVLXDCTL)
def test_help_has_no_line_longer_than_80_columns(name: str) -> None:
    text = context(f"devlxdctl {name}").get_help()
    assert [line for line in text.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_metavar_of_option_is_a_noun_in_upper_case(name: str, option: str) -> None:
    """Choices and `-` can stand beside nouns: `text|json`, `DIR|FILE|-`; a part can be left out."""
    (param,) = [each for each in ALL[name].params if option in each.opts]
    assert isinstance(param, click.Option)
    choices = set(param.type.choices) if isinstance(param.type, click.Choice) else set()
    # Without a metavar, Click prints the name of the type, such as INTEGER RANGE.
    assert param.metavar is not None or choices
    words = set((param.metavar or "|".join(choices)).split("|"))
    noun = r"@?[A-Z]+(=[A-Z]+|\[:[A-Z]+\])?"
    assert {word for word in words if not re.fullmatch(noun, word)} <= {*choices, "-", "@-"}


@pytest.mark.parametrize("name", ALL)
def test_usage_line_names_arguments_in_upper_case(name: str) -> None:
    for param in ALL[name].params:
        if isinstance(param, click.Argument):
            (usage,) = param.get_usage_pieces(context(name))
            choices = param.type.choices if isinstance(param.type, click.Choice) else ()
            words = [word for word in re.split(r"[\[\]{} .|]+", usage) if word and word not in choices]
            literals = {"exit-codes"}
            assert [
                word for word in words if word not in literals and not re.fullmatch("[A-Z=_]+", word)
            ] == []


@pytest.mark.parametrize("name", ALL)
def test_help_describes_every_option(name: str) -> None:
    """Each begins with a capital letter and ends with a full stop, a default or a variable."""
    for param in ALL[name].get_params(context(name)):
        record = param.get_help_record(context(name)) if isinstance(param, click.Option) else None
        if record is not None:
            text = " ".join(record[1].split())
            assert re.fullmatch(r"[A-Z][^.]*.*(\.|…|\])", text), (record[0], text)


@pytest.mark.parametrize("name", DEVLXDCTL)
def test_command_help_and_help_option_print_the_same(name: str) -> None:
    words = name.split()
    result = run("help", *words)
    assert (result.status, result.stderr) == (0, b"")
    assert result == run(*words, "--help") == run(*words, "-h")
    assert result.stdout.startswith(f"Usage: {' '.join(['devlxdctl', *words])} ".encode())


@pytest.mark.parametrize("name", [name for name in DEVLXDCTL if f"devlxdctl {name}".strip() in GROUPS])
def test_group_without_command_prints_help_on_stderr_and_exits_2(name: str) -> None:
    words = name.split()
    assert run(*words) == Result(2, b"", run(*words, "--help").stdout)


def test_help_fits_into_a_narrow_terminal() -> None:
    text = run("state", "--help", env={"COLUMNS": "40"}).stdout.decode()
    assert [line for line in text.splitlines() if len(line) > 40] == []
    assert "\n  Print the instance's state, or one\n  field of it.\n" in text
