"""Config keys as environment variables: `config env` and `config run`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from devlxdctl.errors import BadData

_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")


def variables(values: Mapping[str, str], prefix: str | None = None) -> dict[str, str]:
    """The values by variable name: `user.role` is `USER_ROLE`, with the prefix `APP_` it is `APP_ROLE`.

    Raises `BadData` where two keys make one name, no name can be made, or a value holds a NUL.
    """
    named: dict[str, str] = {}
    keys: dict[str, str] = {}
    for key, value in values.items():
        rest = key if prefix is None else key.partition(".")[2]
        name = (prefix or "") + re.sub("[^A-Za-z0-9_]", "_", rest).upper()
        if not _NAME.fullmatch(name):
            raise BadData(key, f"no variable can be named {name!r}")
        if name in named:
            raise BadData(name, f"both {keys[name]} and {key} make this name")
        if "\0" in value:
            raise BadData(key, "its value holds a NUL, which no variable can")
        named[name], keys[name] = value, key
    return named


def assignments(named: Mapping[str, str], export: bool = False) -> str:
    """A line per variable that POSIX shells and systemd's EnvironmentFile both read as the value, exactly.

    systemd takes no backslash between quoted pieces, so a quote stands between double quotes.
    """
    before = "export " if export else ""
    return "".join(
        f"{before}{name}='" + value.replace("'", "'\"'\"'") + "'\n" for name, value in named.items()
    )
