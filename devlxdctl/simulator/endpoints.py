"""The endpoints of a host: which path and method each has, and how all but the storage API respond."""

import posixpath
import random
import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from devlxdctl.simulator import go_json, ubuntu_pro
from devlxdctl.simulator.instance import GUEST_NAMESPACES, Instance
from devlxdctl.simulator.messages import RAW, Response, Target, json_response, raw_response, text_error
from devlxdctl.simulator.profiles import SSH_KEYS, Profile
from devlxdctl.simulator.ssh_keys import add_users
from devlxdctl.simulator.storage.endpoints import ENTITLEMENTS

NON_ROOT = "Access denied for non-root user"

_ENDPOINTS = (
    "/",
    "/1.0",
    "/1.0/config",
    "/1.0/config/{key}",
    "/1.0/devices",
    "/1.0/events",
    "/1.0/images/{fingerprint}/export",
    "/1.0/meta-data",
)
_UBUNTU_PRO_ENDPOINTS = ("/1.0/ubuntu-pro", "/1.0/ubuntu-pro/token")
STORAGE_ENDPOINTS = tuple(ENTITLEMENTS)
_METHODS = {
    "/1.0": ("GET", "PATCH"),
    "/1.0/ubuntu-pro/token": ("POST",),
    **{endpoint: tuple(methods) for endpoint, methods in ENTITLEMENTS.items()},
}
"""The methods of each endpoint, unless it is GET alone; for hosts that check methods."""
_HTTP_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


def _pattern(endpoint: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(endpoint)), re.DOTALL)


_PATTERNS = {
    endpoint: _pattern(endpoint) for endpoint in (*_ENDPOINTS, *_UBUNTU_PRO_ENDPOINTS, *STORAGE_ENDPOINTS)
}


def find_endpoint(profile: Profile, path: str) -> tuple[str | None, dict[str, str]]:
    """Return the endpoint of a path and its raw parameters; None if the host has no such endpoint."""
    endpoints = (
        *_ENDPOINTS,
        *(_UBUNTU_PRO_ENDPOINTS if profile.ubuntu_pro else ()),
        *(STORAGE_ENDPOINTS if profile.storage else ()),
    )
    for endpoint in endpoints:
        if match := _PATTERNS[endpoint].fullmatch(path):
            return endpoint, match.groupdict()
    return ("/" if profile.catch_all else None), {}


def clean_path(path: str) -> str:
    """Remove `//`, `.` and `..` from a path and keep a trailing slash, as Go's ServeMux does."""
    # posixpath.normpath keeps two leading slashes.
    clean = posixpath.normpath("/" + path.lstrip("/"))
    return clean + "/" if path.endswith("/") and clean != "/" else clean


def redirect(profile: Profile, method: str, target: Target) -> Response | None:
    """Return the redirect to the clean form of a path; None if the path is clean."""
    clean = clean_path(target.path)
    if clean == target.path:
        return None
    location = clean + (f"?{target.query}" if target.query else "")
    headers = (("Location", location),)
    if profile.redirect == 301 or method not in ("GET", "HEAD"):
        return Response(profile.redirect, None, headers=headers)
    body = f'<a href="{location}">Temporary Redirect</a>.\n\n'
    return Response(profile.redirect, "text/html; charset=utf-8", body.encode(), headers)


def reject_method(profile: Profile, endpoint: str, method: str) -> Response | None:
    """Return the error for a method that the endpoint lacks; None if the host treats it as a GET."""
    if profile.strict_methods:
        if method in _METHODS.get(endpoint, ("GET",)):
            return None
        if method in _HTTP_METHODS:
            return text_error(501, "Not Implemented")
        return text_error(404, f'Method "{method}" not found')
    if endpoint == "/1.0" and profile.reports_state and method not in ("GET", "PATCH"):
        return text_error(405, f'method "{method}" not allowed')
    return None


def sets_state(profile: Profile, endpoint: str, method: str) -> bool:
    """Whether this request sets the state. LXD 5.0 treats it as a GET."""
    return endpoint == "/1.0" and method == "PATCH" and profile.reports_state


def patch_state(instance: Instance, body: bytes) -> Response:
    """Respond to `PATCH /1.0`."""
    profile = instance.profile
    try:
        decoded = go_json.decode_struct(body, profile.state_struct, {"state": "string"})
    except go_json.BodyError as error:
        return text_error(400, f"{profile.body_error_prefix}{error}")
    state = decoded.get("state", "")
    if state not in ("Ready", "Started"):
        return text_error(400, f'Invalid state "{state}"')
    instance.set_ready(state == "Ready")
    return Response(200, RAW)


def reject_token(instance: Instance, token: str) -> Response | None:
    """Return the error for an expired or forged token; None for other tokens, known or not."""
    match instance.tokens.get(token) if instance.profile.tokens else None:
        case "expired":
            reason = "token has invalid claims: token is expired"
        case "wrong":
            reason = "token signature is invalid: signature is invalid"
        case _:
            return None
    return text_error(403, f"Failed to verify bearer token: Token is not valid: {reason}")


def respond(
    instance: Instance,
    endpoint: str,
    parameters: dict[str, str],
    trusted_state: Mapping[str, object] | None = None,
) -> Response:
    """Respond at any endpoint except events, image export and the storage API.

    `trusted_state` has the fields of `GET /1.0` for a trusted token; None without one.
    """
    profile = instance.profile
    if not instance.api_on and endpoint not in profile.allowed_while_off:
        return text_error(403, profile.forbidden)
    match endpoint:
        case "/":
            return json_response(["/1.0"])
        case "/1.0":
            return json_response({**_state(instance), **(trusted_state or {})})
        case "/1.0/config":
            return json_response([f"/1.0/config/{key}" for key in _listed_keys(instance)])
        case "/1.0/config/{key}":
            return _config_value(instance, _decode_key(instance, parameters["key"]))
        case "/1.0/devices":
            return json_response(instance.guest_devices())
        case "/1.0/meta-data":
            return raw_response(instance.meta_data())
        case "/1.0/ubuntu-pro":
            return json_response({"guest_attach": instance.pro})
        case _:  # /1.0/ubuntu-pro/token
            if instance.pro == "off":
                return text_error(403, ubuntu_pro.NOT_ALLOWED)
            return json_response(ubuntu_pro.new_token())


def _state(instance: Instance) -> dict[str, object]:
    profile = instance.profile
    return {
        "state": ("Ready" if instance.ready else "Started") if profile.reports_state else "",
        "api_version": "1.0",
        "instance_type": instance.type,
        "location": instance.location,
        **dict(profile.extra_state),
    }


def _decode_key(instance: Instance, segment: str) -> str:
    key = unquote_to_bytes(segment.encode("utf-8", "surrogateescape"))
    if instance.type == "virtual-machine":
        # The agent puts the decoded key into its own URL without encoding it. The host decodes it again.
        key = unquote_to_bytes(key)
    return key.decode("utf-8", "surrogateescape")


def _listed_keys(instance: Instance) -> list[str]:
    keys = [
        key for key in instance.config if key.startswith(GUEST_NAMESPACES) and not key.startswith(SSH_KEYS)
    ]
    random.shuffle(keys)
    return keys


def _config_value(instance: Instance, key: str) -> Response:
    profile = instance.profile
    if not key.startswith(GUEST_NAMESPACES):
        return text_error(403, profile.forbidden)
    value = instance.config.get(key)
    if value is None:
        return text_error(404, profile.not_found)
    return raw_response(add_users(instance.config, key, value) if profile.ssh_keys else value)
