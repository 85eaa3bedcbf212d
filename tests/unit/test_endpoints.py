"""The table of endpoints: the error of every status at every endpoint, and every hint."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import get_args

import pytest

from devlxdctl import (
    Conflict,
    DevLXDError,
    HostUnavailable,
    NotFound,
    NotSupported,
    PermissionDenied,
    UnexpectedResponse,
)
from devlxdctl.http import endpoints
from devlxdctl.http.endpoints import DEFAULT_HINTS, Cause, Endpoint, hint
from devlxdctl.http.error_mapping import error_from_status
from devlxdctl.http.messages import Request, Response
from devlxdctl.http.retry import RetryPolicy
from devlxdctl.http.session import Session
from tests.support.raw_host import RawHost, response

ENDPOINTS = {name: row for name, row in vars(endpoints).items() if isinstance(row, Endpoint)}

STATUSES: dict[int, type[DevLXDError]] = {
    400: UnexpectedResponse,
    401: PermissionDenied,
    403: PermissionDenied,
    404: NotSupported,
    405: NotSupported,
    409: Conflict,
    412: Conflict,
    500: HostUnavailable,
    501: NotSupported,
    502: HostUnavailable,
    503: HostUnavailable,
    504: HostUnavailable,
}
"""The error of each status, where an endpoint is not in `OBJECTS`."""

STORAGE = (
    *("POOL", "VOLUMES", "VOLUME_CREATE", "VOLUME", "VOLUME_EDIT", "VOLUME_DELETE", "SNAPSHOTS"),
    *("SNAPSHOT_CREATE", "SNAPSHOT", "SNAPSHOT_DELETE", "INSTANCE", "INSTANCE_EDIT", "OPERATION_WAIT"),
)
"""The endpoints of the storage API. A host that has them answers 404 for a missing object."""

OBJECTS: dict[str, dict[str, type[DevLXDError]]] = {
    **{key: {"text/plain": NotFound, "application/json": NotFound} for key in STORAGE},
    "CONFIG_KEY": {"text/plain": NotFound, "application/json": NotFound},
    "IMAGE": {"text/plain": NotSupported, "application/json": NotFound},
    "RAW": {"text/plain": NotFound, "application/json": NotFound},
}
"""The error of status 404 by its content type, for endpoints whose path names an object."""

EXIT_STATUSES: dict[type[DevLXDError], int] = {
    UnexpectedResponse: 1,
    NotSupported: 3,
    PermissionDenied: 4,
    NotFound: 6,
    HostUnavailable: 7,
    Conflict: 8,
}

BODIES = {"text/plain": b"reason of the host\nmore\n", "application/json": b'{"error":"reason of the host"}'}

ODD_OBJECT = "user.it's $(id) {client}"
"""An object that a shell would expand, split, and that contains a placeholder of the hints."""


def test_table_of_expected_errors_has_every_endpoint_that_names_an_object() -> None:
    assert {name for name, row in ENDPOINTS.items() if row.object} == set(OBJECTS)
    assert len(ENDPOINTS) >= 12


@pytest.mark.parametrize("content_type", BODIES)
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("name", ENDPOINTS)
def test_status_has_the_documented_error_at_each_endpoint(
    name: str, status: int, content_type: str, socket_directory: Path
) -> None:
    row = ENDPOINTS[name]
    expected = OBJECTS[name][content_type] if status == 404 and name in OBJECTS else STATUSES[status]
    request = Request("GET", "/some/path", row, object="thing" if row.object else "")
    error = error_from_status(
        Response(status, content_type, BODIES[content_type]), request, str(socket_directory / "sock"), None
    )
    assert type(error) is expected
    assert error.exit_status == EXIT_STATUSES[expected]
    assert error.http_status == status
    is_main_api = status == 404 and content_type == "application/json" and not row.object
    if is_main_api:
        assert str(error) == f"{socket_directory}/sock: not a devLXD socket, but one of the main API"
        return
    assert error.subject == ("thing" if row.object else "/some/path")
    if expected is NotFound:
        assert error.problem == row.missing != ""
    elif not (name == "RAW" and expected is NotSupported):
        assert error.problem.endswith(": reason of the host")


@pytest.mark.parametrize("product", ["lxd", "incus"])
@pytest.mark.parametrize("name", ENDPOINTS)
def test_every_hint_is_complete_for_both_products(name: str, product: str, socket_directory: Path) -> None:
    row, socket = ENDPOINTS[name], str(socket_directory / product / "sock")
    causes = [*get_args(Cause), *STATUSES]
    assert set(row.hints) <= set(causes)
    for cause in causes:
        text = hint(socket, row, cause, object="thing")
        if row.hints.get(cause) == "":
            assert text is None
        elif text is not None:
            assert "{" not in text and "}" not in text, (cause, text)
            assert text == text.strip() and "\n" not in text


def test_every_cause_has_a_hint() -> None:
    """At some endpoint, or by default."""
    causes = set(DEFAULT_HINTS).union(*(row.hints for row in ENDPOINTS.values()))
    assert causes >= set(get_args(Cause))


@pytest.mark.parametrize(
    ("product", "expected"),
    [
        ("lxd", "on the host: lxc config set INSTANCE security.devlxd=true"),
        ("incus", "on the host: incus config set INSTANCE security.guestapi=true"),
    ],
)
def test_hint_is_in_the_words_of_the_product(product: str, expected: str, socket_directory: Path) -> None:
    assert hint(str(socket_directory / product / "sock"), endpoints.STATE, 403) == expected


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        (name, cause)
        for name, row in ENDPOINTS.items()
        for cause, text in row.hints.items()
        if "{object}" in text
    ],
)
def test_object_in_a_hint_is_one_word_for_a_shell(
    name: str, cause: Cause | int, socket_directory: Path
) -> None:
    text = hint(str(socket_directory / "lxd" / "sock"), ENDPOINTS[name], cause, object=ODD_OBJECT)
    assert text is not None
    assert ODD_OBJECT in shlex.split(text)


NETWORK = Endpoint("/1.0/networks/{network}", object="network", missing="no such network", not_found="auth")
"""The row of an invented endpoint: hosts that have it send the field `auth` in their state."""


@pytest.mark.parametrize(
    ("state", "content_type", "expected", "exit_status", "problem"),
    [
        (b'{"auth":"trusted"}', "application/json", NotFound, 6, "no such network"),
        (b'{"auth":"untrusted"}', "text/plain", NotFound, 6, "no such network"),
        (b"{}", "text/plain", NotSupported, 3, "not supported by this host: reason of the host"),
    ],
)
def test_new_row_alone_tells_a_missing_object_from_a_missing_endpoint(
    state: bytes,
    content_type: str,
    expected: type[DevLXDError],
    exit_status: int,
    problem: str,
    socket_directory: Path,
) -> None:
    def script(request: bytes) -> bytes:
        if request.startswith(b"GET /1.0 HTTP"):
            return response(state)
        return response(BODIES[content_type], content_type, "404 Not Found")

    with RawHost(socket_directory / "sock", script) as raw_host:
        session = Session(raw_host.path, 15, None)
        with pytest.raises(DevLXDError) as caught:
            session.send(Request("GET", "/1.0/networks/n", NETWORK, object="n"), RetryPolicy())
        session.close()
    error = caught.value
    assert (type(error), error.exit_status, error.http_status) == (expected, exit_status, 404)
    assert str(error) == f"n: {problem}"


@pytest.mark.parametrize(("status", "same"), [(405, 404), (501, 404), (502, 500), (503, 500), (504, 500)])
def test_statuses_with_the_same_cause_have_the_same_hint(status: int, same: int) -> None:
    advice = hint("/dev/lxd/sock", endpoints.PRO_TOKEN, status)
    assert advice == hint("/dev/lxd/sock", endpoints.PRO_TOKEN, same) == endpoints.PRO_TOKEN.hints[same]
