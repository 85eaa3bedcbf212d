"""The options that every command takes, before or after its name."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from devlxdctl import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from devlxdctl import Client, Token


class Options:
    """The values of the common options."""

    def __init__(self) -> None:
        self.socket: str | None = None
        self.format = "text"
        self.wait: float | None = None
        self.token_file: str | None = None
        self.verbose = False

    def client(self) -> Client:
        """Return a client as the options say. It is closed when the command ends."""
        from devlxdctl import Client
        from devlxdctl.cli.output.logs import enable_log

        enable_log(self.verbose)
        client = Client(self.socket, wait=self.wait, token=self.token())
        click.get_current_context().call_on_close(client.close)
        return client

    def token(self) -> Token:
        """Return the bearer token, or a function that reads it; an empty variable counts as unset."""
        if self.token_file is None:
            return os.environ.get("DEVLXD_BEARER_TOKEN") or None
        from devlxdctl import TokenFile

        return TokenFile(self.token_file)


class CommandLine(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of Click only
    """A command line, split as a shell would split it."""

    name = "cmd"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        import shlex

        try:
            words = shlex.split(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(f"{value!r}: {str(error).lower()}", param, ctx)
        if not words:
            self.fail("is empty", param, ctx)
        return list(words)


class Seconds(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of Click only
    """A number of seconds, finite and at least `minimum`."""

    name = "seconds"

    def __init__(self, minimum: float = 0) -> None:
        self.minimum = minimum

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not self.minimum <= seconds < math.inf:
            minimum = f", at least {self.minimum:g}" if self.minimum else ""
            self.fail(f"{value!r} is not a number of seconds{minimum}", param, ctx)
        return seconds


class Count(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of Click only
    """A whole number, at least 1."""

    name = "n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            count = int(value)
        except ValueError:
            count = 0
        if count < 1:
            self.fail(f"{value!r} is not a whole number, at least 1", param, ctx)
        return count


class Size(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of Click only
    """A size in the form of LXD: a number of bytes, or one with a unit."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from devlxdctl import is_size

        if not is_size(value):
            self.fail(f"{value!r} is not a size, such as 10GiB or 500MB", param, ctx)
        return str(value)


class CommaSeparated(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of Click only
    """Words of `choices`, separated by commas. `kind` is what errors call one of them."""

    name = "words"

    def __init__(self, choices: Sequence[str], kind: str) -> None:
        self.choices = choices
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        words = value.split(",") if isinstance(value, str) else list(value)
        for word in words:
            if word not in self.choices:
                self.fail(f"{word!r} is not {self.kind}: {', '.join(self.choices)}", param, ctx)
        return words


class Assignment(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of Click only
    """A key and a value, as KEY=VALUE."""

    name = "assignment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        key, equals, text = value.partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is not of the form KEY=VALUE", param, ctx)
        return key, text


def unique_assignments(pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return the pairs of KEY=VALUE as a dictionary. A key that is given twice is a usage error."""
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise click.UsageError(f"{twice} is given twice.")
    return found


def _store(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE:
        setattr(ctx.find_root().ensure_object(Options), param.name or "", value)


def complete_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete file names."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


@cache
def _common_options() -> list[click.Parameter]:
    """The common options, made once for all commands, since making one takes as long as making a command."""
    formats = click.Choice(["text", "json"])

    def option(*names: str, **settings: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_store, **settings)

    def file(name: str, **settings: Any) -> click.Option:
        return option(name, metavar="FILE", shell_complete=complete_files, **settings)

    version = click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_print_version,
        help="Print the version and exit.",
    )
    return [
        file("--socket", help="Socket of the host.  [env: DEVLXD_SOCKET]"),
        option("-f", "--format", type=formats, metavar="text|json", help="Output format.  [default: text]"),
        option(
            "--wait",
            type=Seconds(),
            metavar="SECONDS",
            help="Retry for up to SECONDS while the host is unavailable.  "
            "[default: 10 while its daemon restarts, else 0]",
        ),
        file("--token-file", help="File with a bearer token.  [default: the token in $DEVLXD_BEARER_TOKEN]"),
        option("-v", "--verbose", is_flag=True, help="Log requests to stderr."),
        version,
    ]


def _print_help(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        print_and_exit(ctx, ctx.get_help())


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        print_and_exit(ctx, f"devlxdctl {__version__}")


def print_and_exit(ctx: click.Context, text: str) -> None:
    """Write a help text as any other output, and exit."""
    from devlxdctl.cli.output.render import Help, render

    ctx.exit(render(Help(text), as_json=False))


_NARROW = 52  # columns of a terminal
_UNLIMITED = 1000  # characters of the first line of a help text


class Command(click.Command):
    """A command with the common options. Help and version are written as any other output."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params += _common_options()
        self.context_settings.setdefault("help_option_names", ["-h", "--help"])

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _print_help
            option.help = "Print this help and exit."
        return option

    def get_help(self, ctx: click.Context) -> str:
        import shutil

        columns = shutil.get_terminal_size().columns
        if columns < _NARROW and ctx.terminal_width is None:  # Click would wrap lines at 50 characters
            ctx.terminal_width = columns
        return super().get_help(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the options of the command itself before those of every command."""
        own: list[tuple[str, str]] = []
        common: list[tuple[str, str]] = []
        help_option = self.get_help_option(ctx)
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                # Click before 8.1.8 makes a new help option at each call.
                is_help = help_option is not None and param.opts == help_option.opts
                is_common = is_help or param in _common_options()
                (common if is_common else own).append(record)
        for title, records in (("Options", own), ("Common options", common)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class UnknownCommand(click.UsageError):
    """A command that does not exist. `hint` names the most similar of `names`, if one is similar."""

    def __init__(self, name: str, names: list[str], ctx: click.Context) -> None:
        super().__init__(f"no such command {name!r}", ctx)
        # Lower than for options, so that three letters of which two are swapped are similar.
        self.hint = suggestion(name, names, cutoff=0.6)


class MissingCommand(click.UsageError):
    """A group without a command: its help on stderr, and exit status 2. Click before 8.2 exits with 0."""

    def help_text(self) -> str:
        """Return the help of the group."""
        assert self.ctx is not None
        return self.ctx.get_help()


def suggestion(word: str, words: list[str], cutoff: float = 0.7) -> str | None:
    """Return a question with the words that are similar to `word`, None without any."""
    from difflib import get_close_matches

    similar = get_close_matches(word, words, cutoff=cutoff)
    return f"did you mean {' or '.join(sorted(similar))}?" if similar else None


def usage_message(error: click.UsageError) -> tuple[str, str]:
    """Return the message of a usage error, in the form of all other errors, and its hint."""
    path = error.ctx.command_path if error.ctx is not None else "devlxdctl"
    hint: str | None = getattr(error, "hint", None)
    message = error.format_message()
    if isinstance(error, click.NoSuchOption):
        message = f"no such option {error.option_name}"
        options = error.ctx.command.params if error.ctx is not None else []
        hint = suggestion(error.option_name, [name for option in options for name in option.opts])
    message = message.removesuffix(".")
    if not message[1:2].isupper():
        message = message[:1].lower() + message[1:]
    subject = path.partition(" ")[2]
    return (f"{subject}: {message}" if subject else message), hint or f"see the help: {path} --help"


class Group(Command, click.Group):
    """A group of such commands."""

    command_class = Command
    group_class = type

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            raise MissingCommand("", ctx)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None and args[0][:1] != "-":
            raise UnknownCommand(args[0], self.list_commands(ctx), ctx)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the commands before the options."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print each command with the whole first line of its help, in the sections of the group."""
        sections = self.command_sections(ctx)
        width = max((len(name) for names in sections.values() for name in names), default=0)
        for title, names in sections.items():
            commands = [(name.ljust(width), self.get_command(ctx, name)) for name in names]
            rows = [(name, command.get_short_help_str(_UNLIMITED)) for name, command in commands if command]
            with formatter.section(title):
                formatter.write_dl(rows)

    def command_sections(self, ctx: click.Context) -> Mapping[str, Sequence[str]]:
        """Return the names of the commands by the title of their section in the help."""
        return {"Commands": self.list_commands(ctx)}
