"""What hosts get from Go's libraries: JSON as it is written and read there, clean paths, timestamps."""

import json
import posixpath
import time

_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
_ALWAYS = {"\u2028": "\\u2028", "\u2029": "\\u2029"}
_COMPLAINTS = {
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after object key:value pair",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
}
_KINDS = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}


class BodyError(ValueError):
    """A body that is no JSON, or not of the type that is wanted; the text is the host's complaint."""


def encode(value: object, *, html: bool) -> bytes:
    """A line of JSON. Where `html` is True, `<`, `>` and `&` are escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character, escaped in ({**_HTML, **_ALWAYS} if html else _ALWAYS).items():
        text = text.replace(character, escaped)
    return text.encode("utf-8", "replace") + b"\n"


def decode_state(body: bytes, struct: str) -> str:
    """The field `state` of the first JSON value of a body; raises BodyError.

    As Go reads it: what follows the first value is ignored, null leaves a field empty, and the case of
    a name does not matter. `struct` is the type that complaints name.
    """
    text = body.decode("utf-8", "replace").lstrip(" \t\r\n")
    if not text:
        raise BodyError("EOF")
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text) or error.msg.startswith("Unterminated string"):
            raise BodyError("unexpected EOF") from error
        where = _COMPLAINTS.get(error.msg, "looking for beginning of value")
        raise BodyError(f"invalid character {text[error.pos]!r} {where}") from error
    if value is None:
        return ""
    if not isinstance(value, dict):
        raise BodyError(f"json: cannot unmarshal {_KINDS[type(value)]} into Go value of type api.{struct}")
    state = ""
    for name, item in value.items():
        if name.lower() != "state" or item is None:
            continue
        if not isinstance(item, str):
            kind = _KINDS[type(item)]
            raise BodyError(
                f"json: cannot unmarshal {kind} into Go struct field {struct}.state of type string"
            )
        state = item
    return state


def clean_path(path: str) -> str:
    """A path without `//`, `.` and `..`; a slash at the end stays."""
    # posixpath keeps two leading slashes, which is right for files only.
    clean = posixpath.normpath("/" + path.lstrip("/"))
    return clean + "/" if path.endswith("/") and clean != "/" else clean


def timestamp(nanoseconds: int) -> str:
    """RFC 3339 in UTC with up to nine digits, the zeros at the end dropped."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + fraction + "Z"
