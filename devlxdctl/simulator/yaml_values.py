"""Checked access to the values of a parsed YAML file. Errors are ValueErrors that name the place."""

from collections.abc import Sequence


def mapping(value: object, place: str) -> dict[str, object]:
    """Return keys and values; an empty value is an empty mapping."""
    if value in (None, ""):  # an empty file, or a key without a value
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{place}: expected keys and values, got {_kind(value)}")
    return {text(key, f"a key of {place}"): item for key, item in value.items()}


def strings(value: object, place: str) -> dict[str, str]:
    """Return keys with strings as values."""
    return {key: text(item, f"{place}: {key}") for key, item in mapping(value, place).items()}


def text(value: object, place: str) -> str:
    """Return a string."""
    if not isinstance(value, str):
        raise ValueError(f"{place}: expected a string, got {_kind(value)}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{place}: contains an unpaired surrogate")
    return value


def items(value: object, place: str) -> list[object]:
    """Return a list; an empty value is an empty list."""
    if value in (None, ""):
        return []
    if not isinstance(value, list):
        raise ValueError(f"{place}: expected a list, got {_kind(value)}")
    return value


def check_keys(found: dict[str, object], known: Sequence[str], place: str) -> None:
    """Raise ValueError if a key is not known."""
    if unknown := sorted(found.keys() - set(known)):
        raise ValueError(f"{place}: unknown key {unknown[0]!r}; known keys: {', '.join(known)}")


def check_choice(value: str, choices: Sequence[str], place: str) -> None:
    """Raise ValueError if a value is not one of the choices."""
    if value not in choices:
        raise ValueError(f"{place}: must be one of {', '.join(choices)}, not {value!r}")


def seconds(value: str, place: str) -> float:
    """Return a number of seconds, 0 or more."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ValueError(f"{place}: not a number of seconds: {value!r}")
    return number


def _kind(value: object) -> str:
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "keys and values"
