"""Commands that are imported when they are used: importing all of them takes a third of a start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module

import click


class LazyCommands(MutableMapping[str, click.Command]):
    """The commands of a group by name.

    * `paths`: for each command that is not imported yet, its module below `cli.commands` and its name there:
      "config_files.save".
    """

    def __init__(self, paths: Mapping[str, str]) -> None:
        self._paths = dict(paths)
        self._commands: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._commands and name in self._paths:
            module, _, attribute = self._paths[name].partition(".")
            self._commands[name] = getattr(import_module(f"devlxdctl.cli.commands.{module}"), attribute)
        return self._commands[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        self._paths.pop(name, None)
        self._commands.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter({**self._paths, **self._commands})

    def __len__(self) -> int:
        return len({**self._paths, **self._commands})
