"""`config env`, `config save`, `config render`: files made from config keys, once or for ever."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from devlxdctl import BadData, PermissionDenied, environment_variables, format_assignments
from devlxdctl.cli.arguments import (
    RunningCommand,
    dangerous_names_option,
    given_command,
    patterns_argument,
    prefix_option,
)
from devlxdctl.cli.completion import values as complete
from devlxdctl.cli.options import CommandLine, Options, complete_files
from devlxdctl.cli.output.render import Line, Lines, Value, compact_json
from devlxdctl.cli.signals import raise_on_signals

if TYPE_CHECKING:
    from devlxdctl import Content, SavedFile


class _Mode(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of Click only
    """The mode of a file, in octal."""

    name = "mode"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            mode = int(value, 8)
        except ValueError:
            mode = -1
        if not 0 <= mode <= 0o777:
            self.fail(f"{value!r} is not a mode, such as 0640", param, ctx)
        return mode


class FileSettings(NamedTuple):
    """The options of the commands that write files."""

    mode: int | None
    owner: str | None
    optional: bool
    remove: bool
    check: list[str] | None
    watch: bool


_OUTPUT = click.option(
    "-o",
    "--output",
    "path",
    metavar="FILE",
    shell_complete=complete_files,
    help="Write FILE, and print nothing.",
)
_OPTIONS = (
    click.option("--mode", type=_Mode(), metavar="MODE", help="Mode of FILE, in octal.  [default: 0600]"),
    click.option("--owner", metavar="USER[:GROUP]", help="Owner of FILE, names or numbers.  [default: you]"),
    click.option("--optional", is_flag=True, help="Accept keys that are not set: FILE is left as it is."),
    click.option("--remove", is_flag=True, help="With --optional, remove FILE while the keys are not set."),
    click.option(
        "--check",
        type=CommandLine(),
        metavar="CMD",
        help="Replace FILE only if CMD succeeds. It gets the new file as last argument, or in place of {}.",
    ),
    click.option("--watch", is_flag=True, help="Keep running, and write FILE again when its keys change."),
)


def file_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the commands that write files, as one argument `file`."""

    @functools.wraps(function)
    def call(*args: Any, **given: Any) -> Any:
        settings = FileSettings(*(given.pop(name) for name in FileSettings._fields))
        return function(*args, file=settings, **given)

    for option in reversed(_OPTIONS):
        call = option(call)
    return call


@click.command(cls=RunningCommand)
@patterns_argument
@prefix_option
@dangerous_names_option
@click.option("--export", is_flag=True, help="Put `export` before each name.")
@_OUTPUT
@file_options
@click.pass_context
def env(
    ctx: click.Context,
    patterns: tuple[str, ...],
    prefix: str | None,
    allow_dangerous_names: bool,
    export: bool,
    path: str | None,
    file: FileSettings,
) -> Value | Lines:
    """Print config keys as variables for a shell and systemd.

    user.role becomes USER_ROLE='…'. Two keys that make the same name are an error. So is a name that
    changes how programs run, such as PATH. With --optional, keys that are not set are left out. With -o, the
    variables are written to FILE as `config save` does, and CMD is run after each change of FILE.

    \b
    Examples:
      e=$(devlxdctl config env 'user.*') && eval "$e"
      devlxdctl config env 'user.*' -o /run/app.env \\
          --watch -- systemctl try-restart app
    """
    if path is None:
        _check_output_options(ctx, file)
        found = ctx.ensure_object(Options).client().config(*patterns, optional=file.optional)
        variables = environment_variables(found, prefix, allow_dangerous_names=allow_dangerous_names)
        return Value(variables, format_assignments(variables, export), newline=False)
    from devlxdctl import EnvironmentFile

    return _save(ctx, EnvironmentFile(patterns, prefix, export, allow_dangerous_names), path, file)


@click.command(cls=RunningCommand)
@click.argument("key", shell_complete=complete.key)
@click.argument("path", metavar="FILE", shell_complete=complete_files)
@click.option("-n", "no_newline", is_flag=True, help="Do not add a newline to the value.")
@file_options
@click.pass_context
def save(ctx: click.Context, key: str, path: str, no_newline: bool, file: FileSettings) -> Lines:
    """Write the value of a config key to a file.

    FILE is replaced atomically, with its mode and owner. If it already has that value, it is not touched. A
    link at FILE is replaced, not followed. CMD is run after FILE has changed, once for all changes of one
    update. It does not get the bearer token. Without --watch, the exit status is that of CMD if CMD fails.

    \b
    Examples:
      devlxdctl config save user.tls-key /etc/app/key.pem --owner app
      devlxdctl config save user.ca /usr/local/share/ca-certificates/site.crt \\
          --mode 0644 --optional --watch -- update-ca-certificates
    """
    from devlxdctl import ConfigValue

    return _save(ctx, ConfigValue(key, newline=not no_newline), path, file)


@click.command(cls=RunningCommand)
@click.argument("template", metavar="TEMPLATE", shell_complete=complete_files)
@_OUTPUT
@file_options
@click.pass_context
def render(ctx: click.Context, template: str, path: str | None, file: FileSettings) -> Value | Lines | None:
    """Print a text file with the values of config keys in it.

    In TEMPLATE (- is stdin), ${user.role} is replaced by the value of that key, ${user.port:-8080} by its
    value or a default, and $$ by a dollar sign. Any other dollar sign is an error. With -o, the text is
    written to FILE as `config save` does, and CMD is run after each change of FILE.

    \b
    Examples:
      devlxdctl config render motd.tmpl -o /etc/motd --mode 0644
      devlxdctl config render site.tmpl -o /etc/nginx/conf.d/site.conf \\
          --mode 0644 --watch -- systemctl reload nginx
    """
    from devlxdctl import Template

    if path is None:
        _check_output_options(ctx, file)
    content = Template(_read_template(template), "stdin" if template == "-" else template)
    if path is not None:
        return _save(ctx, content, path, file)
    text = ctx.ensure_object(Options).client().render(content, optional=file.optional)
    return None if text is None else Value(text, text, newline=False)


def _read_template(path: str) -> str:
    try:
        if path == "-":
            if sys.stdin is None:
                raise BadData("stdin", "is closed")
            data = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as file:
                data = file.read()
    except PermissionError as error:
        raise PermissionDenied(path, "permission denied") from error
    except OSError as error:
        raise BadData.from_os_error(path, error, "cannot be read") from error
    return data.decode("utf-8", "surrogateescape")


def _check_output_options(ctx: click.Context, file: FileSettings) -> None:
    """Raise a usage error for options that need a FILE."""
    options = {"--mode": file.mode is not None, "--owner": file.owner is not None, "--remove": file.remove}
    options |= {"--check": file.check is not None, "--watch": file.watch, "-- CMD": bool(given_command(ctx))}
    for name, is_given in options.items():
        if is_given:
            raise click.UsageError(f"{name} needs -o FILE.")


def _save(ctx: click.Context, content: Content, path: str, file: FileSettings) -> Lines:
    if path in ("", "-"):
        raise click.UsageError(f"{path!r} is not a file name; without FILE, the output goes to stdout.")
    if file.remove and not file.optional:
        raise click.UsageError("--remove needs --optional.")
    from devlxdctl import FileOptions
    from devlxdctl.cli.hooks import checker

    client = ctx.ensure_object(Options).client()
    options = FileOptions(
        mode=0o600 if file.mode is None else file.mode,
        owner=file.owner,
        optional=file.optional,
        remove=file.remove,
        check=None if file.check is None else checker(file.check, path),
    )

    def save_once() -> Iterator[SavedFile]:
        yield client.save_file(content, path, options)

    results = client.watch_file(content, path, options) if file.watch else save_once()
    if file.watch:
        from devlxdctl.cli.memory import collect_garbage_often

        collect_garbage_often()
    return Lines(_run_after_changes(results, given_command(ctx), is_endless=file.watch))


def _run_after_changes(results: Iterator[SavedFile], command: list[str], is_endless: bool) -> Iterator[Line]:
    """Run `command` after each change; yield the results, which are printed as JSON only."""
    while True:
        with raise_on_signals():  # a signal while a file is written removes its temporary file
            result = next(results, None)
        if result is None:
            return
        if command and result.changed:
            from devlxdctl.cli.hooks import run_command

            status = run_command(command, result.path)
            if status and not is_endless:
                raise click.exceptions.Exit(status)
        yield Line(functools.partial(compact_json, {"path": result.path, "changed": result.changed}), None)
