"""Files made from config keys: what is written, when, and how."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from devlxdctl.config.environment import environment_variables, format_assignments
from devlxdctl.config.keys import NAMESPACES, KeyReader, escape_glob, is_glob, not_set
from devlxdctl.config.replacement import Owner, find_owner, remove_file, replace_file
from devlxdctl.config.template import Template
from devlxdctl.errors import BadData, DevLXDError
from devlxdctl.http.retry import RetryPolicy

if TYPE_CHECKING:
    from devlxdctl.config.bursts import Burst

__all__ = ["ConfigValue", "Content", "EnvironmentFile", "FileOptions", "SavedFile"]

_log: Final = logging.getLogger(__name__)


class ConfigValue(NamedTuple):
    """The value of one config key as the content of a file.

    * `newline`: add a newline where the value does not end with one.
    """

    key: str
    newline: bool = True


class EnvironmentFile(NamedTuple):
    """Config keys as variables for POSIX shells and systemd.

    * `patterns`: as for `Client.config_keys`; all keys without any.
    * `prefix`: replaces the namespace in the names, as for `environment_variables`.
    * `export`: put `export` before each name.
    * `allow_dangerous_names`: allow names that change how programs run, as for `environment_variables`.
    """

    patterns: Sequence[str] = ()
    prefix: str | None = None
    export: bool = False
    allow_dangerous_names: bool = False


Content = ConfigValue | EnvironmentFile | Template


class FileOptions(NamedTuple):
    """How a file is written.

    * `mode`: the mode of the file, 0600 by default.
    * `owner`: `USER[:GROUP]`, names or numbers. None is the user and the group of this process.
    * `optional`: leave the file as it is while a key that it needs is not set. Without it, that is an error.
      An `EnvironmentFile` then needs one key that is set, and omits the others.
    * `remove`: with `optional`, remove the file instead.
    * `check`: called with the path of the new file before it replaces the old one. It raises `BadData` to
      keep the old one.
    """

    mode: int = 0o600
    owner: str | None = None
    optional: bool = False
    remove: bool = False
    check: Callable[[str], None] | None = None


class SavedFile(NamedTuple):
    """The result of writing or removing a file.

    * `path`: the path as it was given.
    * `changed`: False if the file already had that content, or did not exist where it would be removed.
    """

    path: str
    changed: bool


class _Rejected(BadData):
    """The check of a file failed."""


def render(reader: KeyReader, content: Content, optional: bool, retry: RetryPolicy) -> str | None:
    """See `Client.render`."""
    return _format(content, _read(reader, content, optional, retry), optional)


def save_file(
    reader: KeyReader, content: Content, path: str, options: FileOptions, retry: RetryPolicy
) -> SavedFile:
    """See `Client.save_file`."""
    owner = _owner(options)
    text = render(reader, content, options.optional, retry)
    return SavedFile(path, _write(text, path, options, owner))


def watch_file(
    reader: KeyReader, content: Content, path: str, options: FileOptions, bursts: Generator[Burst, None, None]
) -> Iterator[SavedFile]:
    """See `Client.watch_file`. `bursts` has those of the keys of `watched_patterns`."""
    owner = _owner(options)
    is_first = True
    rejected = reported = None
    with closing(bursts):
        for burst in bursts:
            saved = problem = None
            try:
                _check_required(reader, content, burst.values, options.optional, is_first)
                text = _format(content, burst.values, options.optional)
                if rejected is not None and text == rejected:
                    continue
                rejected = None
                saved = SavedFile(path, _write(text, path, options, owner))
            except _Rejected as error:
                rejected, problem = text, str(error)
            except DevLXDError as error:
                if is_first:
                    raise
                problem = f"{error}; {path} is left as it is"
            if problem is not None and problem != reported:
                _log.warning("%s", problem)
            reported = problem
            if saved is not None and (is_first or saved.changed):
                yield saved
            is_first = False


def watched_patterns(content: Content) -> list[str]:
    """The patterns of the keys that `content` depends on."""
    if isinstance(content, EnvironmentFile):
        return list(content.patterns)
    if isinstance(content, Template):
        return [escape_glob(key) for key in (*content.required, *content.optional)]
    return [escape_glob(content.key)]


def _required(content: Content) -> Sequence[str]:
    """The keys that have to be set, unless that is optional."""
    if isinstance(content, EnvironmentFile):
        return sorted({pattern for pattern in content.patterns if not is_glob(pattern)})
    return content.required if isinstance(content, Template) else [content.key]


def _check_required(
    reader: KeyReader, content: Content, values: Mapping[str, str], optional: bool, is_first: bool
) -> None:
    """Raise `NotFound` if a required key is not among `values`, unless that is optional.

    At the start, keys that guests can never read are an error in any case.
    """
    missing = [key for key in _required(content) if key not in values]
    if optional:
        missing = [key for key in missing if is_first and not key.startswith(NAMESPACES)]
    if missing and is_first:
        reader.read_named(missing, None, RetryPolicy())  # says what is wrong with each of them
    elif missing:
        raise not_set(missing)


def _read(reader: KeyReader, content: Content, optional: bool, retry: RetryPolicy) -> dict[str, str]:
    """Read the keys of `content` that are set. Raises `NotFound` for required ones, unless `optional`."""
    required = _required(content)
    others: Iterable[str] = ()
    if isinstance(content, Template):
        others = content.optional
    elif isinstance(content, EnvironmentFile):
        others, _ = reader.select(content.patterns, retry)
    found = {} if optional else reader.read_named(required, None, retry)
    rest = {*required, *others} - set(found)
    return found | {key: value for key, value in reader.read_readable(rest, retry) if value is not None}


def _format(content: Content, values: Mapping[str, str], optional: bool) -> str | None:
    """Return the text of `content`, None if a key is not set that it needs."""
    if isinstance(content, EnvironmentFile):
        variables = environment_variables(
            dict(sorted(values.items())),
            content.prefix,
            allow_dangerous_names=content.allow_dangerous_names,
        )
        text = format_assignments(variables, content.export)
        return text if text or not optional else None
    try:
        if isinstance(content, Template):
            return content.substitute(values)
        text = values[content.key]
    except KeyError:
        return None
    return text if not content.newline or text.endswith("\n") else f"{text}\n"


def _owner(options: FileOptions) -> Owner:
    return Owner() if options.owner is None else find_owner(options.owner)


def _write(text: str | None, path: str, options: FileOptions, owner: Owner) -> bool:
    """Write the file, or remove it. Return whether that changed its content."""
    if text is None:
        return options.remove and remove_file(path)

    def check(temporary: str) -> None:
        assert options.check is not None
        try:
            options.check(temporary)
        except BadData as error:
            raise _Rejected(error.subject, error.problem, hint=error.hint) from error

    data = text.encode("utf-8", "surrogateescape")
    return replace_file(path, data, options.mode, owner, check if options.check else None)
