"""The options that every command takes, before or after its name."""

from __future__ import annotations

import math
import os
from functools import cache
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from devlxdctl import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from devlxdctl.client import Client
    from devlxdctl.tokens import Token


class Options:
    """The values of the common options: those of the command line, wherever on it they stood."""

    def __init__(self) -> None:
        self.socket: str | None = None
        self.format = "text"
        self.wait: float | None = None
        self.token_file: str | None = None
        self.verbose = False

    def client(self, wait: float | None = None) -> Client:
        """A client as the options say, `wait` going before `--wait`. It is closed when the command ends."""
        from devlxdctl.cli.log import show_log
        from devlxdctl.client import Client

        show_log(self.verbose)
        client = Client(self.socket, self.wait if wait is None else wait, self.token())
        click.get_current_context().call_on_close(client.close)
        return client

    def token(self) -> Token:
        """The bearer token, or what reads it; an empty variable counts as unset."""
        if self.token_file is None:
            return os.environ.get("DEVLXD_BEARER_TOKEN") or None
        from devlxdctl.tokens import TokenFile

        return TokenFile(self.token_file)


class Words(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of Click only
    """A command line, split as a shell would split it."""

    name = "cmd"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        import shlex

        try:
            words = shlex.split(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(f"{value!r}: {str(error).lower()}", param, ctx)
        if not words:
            self.fail("it is empty", param, ctx)
        return list(words)


class Seconds(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of Click only
    """A number of seconds, finite and not less than `least`."""

    name = "seconds"

    def __init__(self, least: float = 0) -> None:
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not self.least <= seconds < math.inf:
            from_here = f" from {self.least:g} on" if self.least else ""
            self.fail(f"{value!r} is not a number of seconds{from_here}", param, ctx)
        return seconds


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE:
        setattr(ctx.find_root().ensure_object(Options), param.name or "", value)


def complete_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files, which the shell finds itself."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


@cache
def _common() -> list[click.Parameter]:
    """One set for all commands: to make one takes as long as to make a command."""
    formats = click.Choice(["text", "json", "table"])

    def option(*names: str, **how: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_keep, **how)

    def file(name: str, **how: Any) -> click.Option:
        return option(name, metavar="PATH", shell_complete=complete_files, **how)

    version = click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_version,
        help="Show the version and exit.",
    )
    return [
        file("--socket", help="The host's socket.  [env: DEVLXD_SOCKET]"),
        option("-f", "--format", type=formats, metavar="text|json", help="The form of the output."),
        option("--wait", type=Seconds(), help="Keep trying for so long while there is no answer."),
        file("--token-file", help="A bearer token's file.  [env: DEVLXD_BEARER_TOKEN]"),
        option("-v", "--verbose", is_flag=True, help="Tell on stderr what is asked of the host."),
        version,
    ]


def _show_help(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        show(ctx, ctx.get_help())


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        show(ctx, f"devlxdctl {__version__}")


def show(ctx: click.Context, text: str) -> None:
    """Writes a text as any other output, and ends."""
    from devlxdctl.cli.render import Bare, render

    ctx.exit(render(Bare(text, text), as_json=False))


class Command(click.Command):
    """A command with the common options, whose help is written as any other output."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self.params += _common()
        self.context_settings.setdefault("help_option_names", ["-h", "--help"])

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _show_help
        return option


def unknown(name: str, names: list[str], ctx: click.Context) -> click.UsageError:
    """The error for a command that does not exist, with the nearest of `names`."""
    # As newer versions of Click say it by themselves.
    from difflib import get_close_matches

    near = ", ".join(map(repr, sorted(get_close_matches(name, names))))
    advice = f" (Did you mean one of: {near}?)" if "," in near else f" Did you mean {near}?" if near else ""
    return click.UsageError(f"No such command {name!r}.{advice}", ctx)


class _NoCommand(click.UsageError):
    """A group called alone: its help on stderr, and status 2. Click before 8.2 calls that a success."""

    def show(self, file: Any = None) -> None:
        assert self.ctx is not None
        click.echo(self.ctx.get_help(), file=file, err=True)


class Group(Command, click.Group):
    """A group of such commands."""

    command_class = Command
    group_class = type

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            raise _NoCommand("", ctx)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None and args[0][:1] != "-":
            raise unknown(args[0], self.list_commands(ctx), ctx)
        return super().resolve_command(ctx, args)
