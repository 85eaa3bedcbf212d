"""What a host answers: a request and the instance's state in, status, headers and body out."""

import random
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from devlxdctl.simulator import golang, pro
from devlxdctl.simulator.instance import GUEST_NAMESPACES, Instance
from devlxdctl.simulator.profiles import SSH_KEYS, Profile
from devlxdctl.simulator.sshkeys import merged_seed

JSON = "application/json"
RAW = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"
NON_ROOT = "Access denied for non-root user"

_ENDPOINTS = {
    "/": r"/",
    "/1.0": r"/1\.0",
    "/1.0/config": r"/1\.0/config",
    "/1.0/config/{key}": r"/1\.0/config/(?P<key>[^/]+)",
    "/1.0/devices": r"/1\.0/devices",
    "/1.0/events": r"/1\.0/events",
    "/1.0/images/{fingerprint}/export": r"/1\.0/images/(?P<fingerprint>[^/]+)/export",
    "/1.0/meta-data": r"/1\.0/meta-data",
}
_PRO_ENDPOINTS = {
    "/1.0/ubuntu-pro": r"/1\.0/ubuntu-pro",
    "/1.0/ubuntu-pro/token": r"/1\.0/ubuntu-pro/token",
}
STORAGE_ENDPOINTS = {
    "/1.0/instances/{instance}": r"/1\.0/instances/(?P<instance>[^/]+)",
    "/1.0/operations/{operation}": r"/1\.0/operations/(?P<operation>[^/]+)",
    "/1.0/operations/{operation}/wait": r"/1\.0/operations/(?P<operation>[^/]+)/wait",
    "/1.0/storage-pools/{pool}": r"/1\.0/storage-pools/(?P<pool>[^/]+)",
    "/1.0/storage-pools/{pool}/volumes": r"/1\.0/storage-pools/(?P<pool>[^/]+)/volumes",
    "/1.0/storage-pools/{pool}/volumes/{type}": (
        r"/1\.0/storage-pools/(?P<pool>[^/]+)/volumes/(?P<type>[^/]+)"
    ),
    "/1.0/storage-pools/{pool}/volumes/{type}/{volume}": (
        r"/1\.0/storage-pools/(?P<pool>[^/]+)/volumes/(?P<type>[^/]+)/(?P<volume>[^/]+)"
    ),
}
_METHODS = {
    "/1.0": ("GET", "PATCH"),
    "/1.0/ubuntu-pro/token": ("POST",),
    "/1.0/instances/{instance}": ("GET", "PATCH"),
    "/1.0/operations/{operation}": ("DELETE",),
    "/1.0/storage-pools/{pool}/volumes": ("GET", "POST"),
    "/1.0/storage-pools/{pool}/volumes/{type}": ("GET", "POST"),
    "/1.0/storage-pools/{pool}/volumes/{type}/{volume}": ("GET", "PUT", "PATCH", "DELETE"),
}
"""Where a host is strict, what an endpoint takes besides GET, or instead."""
_HTTP_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class Target:
    """A request's target as it came, cut in two and not decoded."""

    path: str
    query: str = ""

    @classmethod
    def parse(cls, raw: str) -> "Target":
        """Cut a raw target; a fragment has no business there and is dropped, as recorded."""
        path, _, query = raw.partition("#")[0].partition("?")
        return cls(path, query)

    @property
    def well_encoded(self) -> bool:
        """Whether each percent sign of the path begins an escape."""
        return re.search(r"%(?![0-9A-Fa-f]{2})", self.path) is None


@dataclass(frozen=True)
class Answer:
    """An answer without what HTTP adds to it (Date, Content-Length, Connection)."""

    status: int
    content_type: str | None
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def error(status: int, text: str, *headers: tuple[str, str]) -> Answer:
    """An error as hosts give it: text that ends in a newline."""
    return Answer(status, TEXT, f"{text}\n".encode(), (("X-Content-Type-Options", "nosniff"), *headers))


def json_error(status: int, text: str) -> Answer:
    """An error in the form of the main API."""
    body = {
        "type": "error",
        "status": "",
        "status_code": 0,
        "operation": "",
        "error_code": status,
        "error": text,
        "metadata": None,
    }
    nosniff = (("X-Content-Type-Options", "nosniff"),)
    # Its writer ends the line, and so does the one around it.
    return Answer(status, JSON, golang.encode(body, html=True) + b"\n", nosniff)


def _json(value: object) -> Answer:
    return Answer(200, JSON, golang.encode(value, html=False))


def _raw(text: str) -> Answer:
    return Answer(200, RAW, text.encode("utf-8", "surrogateescape"))


def find_endpoint(profile: Profile, path: str) -> tuple[str | None, dict[str, str]]:
    """The endpoint that a path is of, and its raw parameters; None where the host knows no such path."""
    endpoints = dict(_ENDPOINTS)
    if profile.ubuntu_pro:
        endpoints |= _PRO_ENDPOINTS
    if profile.storage:
        endpoints |= STORAGE_ENDPOINTS
    for endpoint, pattern in endpoints.items():
        if match := re.fullmatch(pattern, path, re.DOTALL):
            return endpoint, match.groupdict()
    return ("/" if profile.catch_all else None), {}


def redirect(profile: Profile, method: str, target: Target) -> Answer | None:
    """Where the host sends a path that is not clean; None for a clean one."""
    clean = golang.clean_path(target.path)
    if clean == target.path:
        return None
    location = clean + (f"?{target.query}" if target.query else "")
    headers = (("Location", location),)
    if profile.redirect == 301 or method not in ("GET", "HEAD"):
        return Answer(profile.redirect, None, headers=headers)
    body = f'<a href="{location}">Temporary Redirect</a>.\n\n'
    return Answer(profile.redirect, "text/html; charset=utf-8", body.encode(), headers)


def wrong_method(profile: Profile, endpoint: str, method: str) -> Answer | None:
    """What the host says to a method that an endpoint lacks; None where it goes on, as with a GET."""
    if profile.strict_methods:
        if method in _METHODS.get(endpoint, ("GET",)):
            return None
        if method in _HTTP_METHODS:
            return error(501, "Not Implemented")
        return error(404, f'Method "{method}" not found')
    if endpoint == "/1.0" and profile.reports_state and method not in ("GET", "PATCH"):
        return error(405, f'method "{method}" not allowed')
    return None


def is_patch(profile: Profile, endpoint: str, method: str) -> bool:
    """Whether this request is one that sets the state; LXD 5.0 takes it for a GET."""
    return endpoint == "/1.0" and method == "PATCH" and profile.reports_state


def patch_state(instance: Instance, body: bytes) -> Answer:
    """PATCH /1.0."""
    profile = instance.profile
    try:
        state = golang.decode_state(body, profile.state_struct)
    except golang.BodyError as complaint:
        return error(400, f"{profile.body_error_prefix}{complaint}")
    if state not in ("Ready", "Started"):
        return error(400, f'Invalid state "{state}"')
    instance.set_ready(state == "Ready")
    return Answer(200, RAW)


def refuse_token(instance: Instance, token: str) -> Answer | None:
    """What the host says to a token of its own that is not good any more; others it ignores."""
    match instance.tokens.get(token) if instance.profile.tokens else None:
        case "expired":
            why = "token has invalid claims: token is expired"
        case "wrong":
            why = "token signature is invalid: signature is invalid"
        case _:
            return None
    return error(403, f"Failed to verify bearer token: Token is not valid: {why}")


def answer(instance: Instance, endpoint: str, parameters: dict[str, str], trusted: bool = False) -> Answer:
    """The answer of any endpoint but events and images to its own method (POST for a token, else GET)."""
    profile = instance.profile
    if not instance.api_on and endpoint not in profile.answers_switched_off:
        return error(403, profile.forbidden)
    match endpoint:
        case "/":
            return _json(["/1.0"])
        case "/1.0":
            state = ("Ready" if instance.ready else "Started") if profile.reports_state else ""
            return _json(
                {
                    "state": state,
                    "api_version": "1.0",
                    "instance_type": instance.type,
                    "location": instance.location,
                    **dict(profile.extra_state),
                    **({"auth": "trusted"} if trusted else {}),
                }
            )
        case "/1.0/config":
            return _json([f"/1.0/config/{key}" for key in _listed(instance)])
        case "/1.0/config/{key}":
            return _config_value(instance, _decode(instance, parameters["key"]))
        case "/1.0/devices":
            return _json(instance.guest_devices())
        case "/1.0/meta-data":
            return _raw(instance.meta_data())
        case "/1.0/ubuntu-pro":
            return _json({"guest_attach": instance.pro})
        case _:  # ubuntu-pro/token
            return error(403, pro.NOT_ALLOWED) if instance.pro == "off" else _json(pro.new_token())


def _decode(instance: Instance, segment: str) -> str:
    key = unquote_to_bytes(segment.encode("utf-8", "surrogateescape"))
    if instance.type == "virtual-machine":
        # The agent puts the decoded key into a URL of its own, without encoding it: `%` and `/` are lost.
        key = unquote_to_bytes(key)
    return key.decode("utf-8", "surrogateescape")


def _listed(instance: Instance) -> list[str]:
    keys = [
        key for key in instance.config if key.startswith(GUEST_NAMESPACES) and not key.startswith(SSH_KEYS)
    ]
    random.shuffle(keys)
    return keys


def _config_value(instance: Instance, key: str) -> Answer:
    profile = instance.profile
    if not key.startswith(GUEST_NAMESPACES):
        return error(403, profile.forbidden)
    value = instance.config.get(key)
    if value is None:
        return error(404, profile.not_found)
    return _raw(merged_seed(instance.config, key, value) if profile.ssh_keys else value)
