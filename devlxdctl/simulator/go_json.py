"""JSON and timestamps as Go's standard library reads and writes them."""

import json
import time
from collections.abc import Mapping

_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
_ALWAYS = {"\u2028": "\\u2028", "\u2029": "\\u2029"}
_SYNTAX_ERRORS = {
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after object key:value pair",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
}
"""Messages of Python's decoder, and what Go's decoder says instead."""
_KINDS = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}


Fields = Mapping[str, "str | Mapping[str, str]"]
"""The fields of a Go struct: for each name its Go type, or the fields of a struct in it."""


class BodyError(ValueError):
    """A body that is not JSON or has the wrong type; the text is Go's error message."""


def encode(value: object, *, html: bool) -> bytes:
    """Encode `value` as one line of JSON; with `html`, escape `<`, `>` and `&`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character, escaped in ({**_HTML, **_ALWAYS} if html else _ALWAYS).items():
        text = text.replace(character, escaped)
    return text.encode("utf-8", "replace") + b"\n"


def decode(body: bytes) -> object:
    """Decode the first JSON value of `body` and ignore the rest, as Go does; raises BodyError."""
    text = body.decode("utf-8", "replace").lstrip(" \t\r\n")
    if not text:
        raise BodyError("EOF")
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text) or error.msg.startswith("Unterminated string"):
            raise BodyError("unexpected EOF") from error
        where = _SYNTAX_ERRORS.get(error.msg, "looking for beginning of value")
        raise BodyError(f"invalid character {text[error.pos]!r} {where}") from error
    result: object = value
    return result


def kind(value: object) -> str:
    """Return Go's name for the JSON type of a decoded value other than null."""
    return _KINDS[type(value)]


def decode_struct(body: bytes, struct: str, fields: Fields) -> dict[str, object]:
    """Decode a body into a Go struct and return the fields that it sets; raises BodyError.

    As in Go, null sets nothing, unknown fields are ignored, and the case of a field's name does not
    matter. `struct` is the Go type that error messages name.
    """
    value = decode(body)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BodyError(f"json: cannot unmarshal {kind(value)} into Go value of type api.{struct}")
    return _decode_fields(value, struct, fields)


def _decode_fields(value: dict[str, object], path: str, fields: Fields) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, item in value.items():
        name = key.lower()
        if name not in fields or item is None:
            continue
        field_type = fields[name]
        if isinstance(field_type, str):
            result[name] = _decode_field(item, field_type, f"{path}.{name}")
        elif isinstance(item, dict):
            result[name] = _decode_fields(item, f"{path}.{name}", field_type)
        else:
            raise _mismatch(item, f"{path}.{name}", f"api.{name}")
    return result


def _decode_field(item: object, go_type: str, path: str) -> object:
    if go_type == "string":
        if not isinstance(item, str):
            raise _mismatch(item, path, go_type)
        return item
    if not isinstance(item, dict):
        raise _mismatch(item, path, go_type)
    element = go_type.removeprefix("map[string]")
    null = "" if element == "string" else None
    return {
        key: null if value is None else _decode_field(value, element, path) for key, value in item.items()
    }


def _mismatch(item: object, path: str, go_type: str) -> BodyError:
    return BodyError(f"json: cannot unmarshal {kind(item)} into Go struct field {path} of type {go_type}")


def timestamp(nanoseconds: int) -> str:
    """Format a time since the epoch as RFC 3339 in UTC, with up to nine digits and no trailing zeros."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + fraction + "Z"
