"""Config keys as environment variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from devlxdctl.config.dangerous_names import changes_how_programs_run
from devlxdctl.errors import BadData

__all__ = ["environment_variables", "format_assignments"]

_NAME: Final = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_DANGEROUS_HINT: Final = "use another --prefix, or allow such names with --allow-dangerous-names"


def environment_variables(
    values: Mapping[str, str], prefix: str | None = None, *, allow_dangerous_names: bool = False
) -> dict[str, str]:
    """Return the values of config keys by variable name.

    `user.role` becomes `USER_ROLE`; with the prefix `APP_`, which replaces the namespace, `APP_ROLE`. Raises
    `BadData` if two keys make the same name, if a name is not valid, or if a value contains NUL.

    * `allow_dangerous_names`: allow names that change how programs run, such as `PATH` or `LD_PRELOAD`.
      Without it, they raise `BadData` too. Such a name needs a prefix like `""` or `LD_`.
    """
    variables: dict[str, str] = {}
    keys: dict[str, str] = {}
    for key, value in values.items():
        rest = key if prefix is None else key.partition(".")[2]
        name = (prefix or "") + re.sub("[^A-Za-z0-9_]", "_", rest).upper()
        if not _NAME.fullmatch(name):
            raise BadData(key, f"{name!r} is not a valid variable name")
        if not allow_dangerous_names and changes_how_programs_run(name):
            raise BadData(key, f"{name!r} changes how programs run", hint=_DANGEROUS_HINT)
        if name in variables:
            raise BadData(name, f"is the name for both {keys[name]} and {key}")
        if "\0" in value:
            raise BadData(key, "value contains NUL, which a variable cannot")
        variables[name], keys[name] = value, key
    return variables


def format_assignments(variables: Mapping[str, str], export: bool = False) -> str:
    """Return one assignment per line, quoted for POSIX shells and for `EnvironmentFile=` of systemd.

    * `export`: put the word `export` before each name, which only shells accept.
    """
    start = "export " if export else ""
    # systemd accepts no backslash between quoted parts, so a single quote is put between double quotes.
    return "".join(
        f"{start}{name}='" + value.replace("'", "'\"'\"'") + "'\n" for name, value in variables.items()
    )
