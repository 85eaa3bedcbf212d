"""Templates: a text with config keys in it, `${user.role}` or `${user.port:-8080}`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from devlxdctl.config.keys import NAMESPACES
from devlxdctl.errors import BadData

__all__ = ["Template"]

_REFERENCE: Final = re.compile(r"\$(?:(\$)|\{([^}\n]*)\})?")
_HINT: Final = "write ${user.KEY}, ${user.KEY:-DEFAULT}, or $$ for a dollar sign"


class _Reference(NamedTuple):
    """A config key in the text, and its value if it is not set; None where it must be set."""

    key: str
    default: str | None


class Template:
    """A text with references to config keys, which are replaced by their values.

    * `text`: `${user.role}` is the value of a key, `${user.port:-8080}` its value or a default, `$$` a dollar
      sign. Any other `$` raises `BadData`, and so does a key that guests cannot read. Keys and defaults
      cannot contain `}`, `$` or a newline. Keys cannot contain `:-`.
    * `name`: the name in errors, which adds the number of the line.

    Values are inserted unchanged, whatever they contain.
    """

    def __init__(self, text: str, name: str = "template") -> None:
        self.name = name
        self._parts: list[str | _Reference] = list(_parse(text, name))
        references = [part for part in self._parts if isinstance(part, _Reference)]
        self.required = sorted({each.key for each in references if each.default is None})
        """The keys that must be set."""
        self.optional = sorted({each.key for each in references} - set(self.required))
        """The keys that have a default wherever they occur."""

    def __repr__(self) -> str:
        return f"Template(name={self.name!r})"

    def substitute(self, values: Mapping[str, str]) -> str:
        """Return the text with these values of its keys. Raises `KeyError` for a required key without one."""
        return "".join(part if isinstance(part, str) else _value(part, values) for part in self._parts)


def _value(reference: _Reference, values: Mapping[str, str]) -> str:
    if reference.default is None:
        return values[reference.key]
    return values.get(reference.key, reference.default)


def _parse(text: str, name: str) -> Iterator[str | _Reference]:
    end = 0
    for match in _REFERENCE.finditer(text):
        yield text[end : match.start()]
        end = match.end()
        dollar, content = match[1], match[2]
        if dollar:
            yield "$"
            continue
        problem, hint = None, _HINT
        key, has_default, default = (content or "").partition(":-")
        if content is None:
            problem = "${ without } on this line" if text.startswith("{", end) else "$ without ${…}"
        elif "$" in content:
            problem = f"$ inside ${{{content}}}"
        elif not key.startswith(NAMESPACES):
            problem = f"{key or repr(key)} is not a key that guests can read"
            hint = "guests can read user.* and cloud-init.* keys only"
        if problem is not None:
            line = text.count("\n", 0, match.start()) + 1
            raise BadData(f"{name}:{line}", problem, hint=hint)
        yield _Reference(key, default if has_default else None)
    yield text[end:]
