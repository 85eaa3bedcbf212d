"""Tests that each reason for which volumes cannot be used has its own line, hint and exit status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devlxdctl import Client, PermissionDenied
from devlxdctl.http.endpoints import OPERATION_WAIT
from devlxdctl.http.messages import Request, Response
from devlxdctl.http.session import Session
from tests.simulator.storage_client import GUEST
from tests.support.raw_host import RawHost, response
from tests.volumes.support import VOLUMES_OF_CI, Host, StartHost

COMMANDS = {
    "pool show": ("default", "pool show default"),
    "ls": ("default", "volume ls default"),
    "show": ("data", "volume show default data"),
    "create": ("new", "volume create default new"),
    "set": ("data", "volume set default data user.a=b"),
    "delete": ("data", "volume delete default data"),
    "snapshot ls": ("data", "volume snapshot ls default data"),
    "snapshot show": ("snap0", "volume snapshot show default data snap0"),
    "snapshot create": ("data", "volume snapshot create default data"),
    "snapshot delete": ("snap0", "volume snapshot delete default data snap0"),
    "attach": ("data", "volume attach default data /mnt"),
    "detach": ("web1", "volume detach data"),
}
ISSUE = "on the host: lxc auth identity token issue devlxd/NAME"
GRANT = "on the host: lxc auth group permission add GROUP project default storage_volume_manager"


def error(subject: str, problem: str, hint: str) -> bytes:
    return f"devlxdctl: {subject}: {problem}\nhint: {hint}\n".encode()


@pytest.mark.parametrize("name", COMMANDS)
def test_command_without_a_token_names_the_options_for_it(name: str, host: Host) -> None:
    subject, command = COMMANDS[name]
    subject = "new" if name == "create" else subject
    hint = f"give the token with --token-file or DEVLXD_BEARER_TOKEN; {ISSUE}"
    expected = error(subject, "permission denied: no bearer token", hint)
    assert host.run(*command.split(), token=None) == (4, b"", expected)


@pytest.mark.parametrize("name", COMMANDS)
def test_untrusted_token_is_named_as_the_cause(name: str, host: Host) -> None:
    subject, command = COMMANDS[name]
    expected = error(subject, "permission denied: the host does not trust the bearer token", ISSUE)
    done = host.run(*command.split(), token="unknown")
    assert (done.status, done.stdout, done.stderr) == (4, b"", expected)


@pytest.mark.parametrize("name", COMMANDS)
def test_switched_off_volumes_are_named_as_the_cause(name: str, host: Host) -> None:
    host.simulator.unset("security.devlxd.management.volumes")
    subject, command = COMMANDS[name]
    subject = "default" if name == "create" else subject  # the volume does not exist, the pool is read
    problem = "permission denied: volumes are switched off for this instance"
    hint = "on the host: lxc config set INSTANCE security.devlxd.management.volumes=true"
    assert host.run(*command.split()) == (4, b"", error(subject, problem, hint))


@pytest.mark.parametrize(
    ("name", "entity", "entitlement"),
    [
        ("show", "volume", "can_view"),
        ("create", "project", "can_create_storage_volumes"),
        ("set", "volume", "can_edit"),
        ("delete", "volume", "can_delete"),
        ("snapshot ls", "volume", "can_view"),
        ("snapshot show", "volume", "can_view"),
        ("snapshot create", "volume", "can_manage_snapshots"),
        ("snapshot delete", "volume", "can_delete"),
        ("attach", "instance", "can_edit"),
        ("detach", "instance", "can_view"),
    ],
)
def test_missing_entitlement_is_named_with_the_command_that_grants_it(
    name: str, entity: str, entitlement: str, start_host: StartHost
) -> None:
    ci: dict[str, Any] = GUEST["simulator"]["identities"]["ci"]
    less = {**ci, entity: [each for each in ci[entity] if each != entitlement]}
    host = start_host(identities={"ci": less}, pools=VOLUMES_OF_CI)
    subject, command = COMMANDS[name]
    entity_name = "storage_volume" if entity == "volume" else entity
    problem = f"permission denied: the identity of the token needs {entity_name} {entitlement}"
    hint = GRANT
    if entity == "instance":
        grant = f"instance INSTANCE {entitlement} project=default"
        hint = f"on the host: lxc auth group permission add GROUP {grant}"
    assert host.run(*command.split()) == (4, b"", error(subject, problem, hint))


def test_expired_token_is_named_as_the_cause(socket_directory: Path) -> None:
    def answer(request: bytes) -> bytes:
        return response(b"Forbidden\n", "text/plain; charset=utf-8", "403 Forbidden")

    with (
        RawHost(socket_directory / "sock", answer),
        Client(socket_directory / "sock", token="old") as client,
        pytest.raises(PermissionDenied) as caught,
    ):
        client.volumes("default")
    assert caught.value.hint == (
        "the bearer token has expired or was revoked; on the host: lxc auth identity token issue devlxd/NAME"
    )


def forbid(request: bytes) -> bytes | None:
    """A host that trusts the token and forbids everything else; it ends the connection at a pool."""
    path = request.split()[1]
    if path == b"/1.0":
        return response(b'{"auth":"trusted"}', "application/json")
    if path.startswith(b"/1.0/storage-pools/") and path.count(b"/") == 3:
        return None
    return response(b"Forbidden\n", "text/plain; charset=utf-8", "403 Forbidden")


def test_missing_entitlement_is_assumed_where_the_switch_cannot_be_read(socket_directory: Path) -> None:
    with (
        RawHost(socket_directory / "sock", forbid) as raw_host,
        Client(raw_host.path, token="token", wait=0) as client,
        pytest.raises(PermissionDenied) as caught,
    ):
        client.volume("default", "data")
    problem = "permission denied: the identity of the token needs storage_volume can_view"
    assert (str(caught.value), caught.value.hint) == (f"data: {problem}", GRANT)


def test_token_counts_as_rejected_where_the_state_cannot_be_read(socket_directory: Path) -> None:
    def respond(request: bytes) -> bytes | None:
        return None if request.split()[1] == b"/1.0" else forbid(request)

    with (
        RawHost(socket_directory / "sock", respond) as raw_host,
        Client(raw_host.path, token="token", wait=0) as client,
        pytest.raises(PermissionDenied) as caught,
    ):
        client.volume("default", "data")
    assert str(caught.value) == "data: permission denied"
    assert caught.value.hint == f"the bearer token has expired or was revoked; {ISSUE}"


def test_switch_of_volumes_is_not_read_for_a_forbidden_operation(socket_directory: Path) -> None:
    """The operation was started, so volumes are switched on."""
    with RawHost(socket_directory / "sock", forbid) as raw_host:
        session = Session(raw_host.path, 60, "token")
        request = Request("GET", "/1.0/operations/1/wait", OPERATION_WAIT, object="1")
        error = session.error_from_status(Response(403, "text/plain", b"Forbidden"), request)
        session.close()
        assert [each.split()[1] for each in raw_host.requests] == [b"/1.0"]
    assert isinstance(error, PermissionDenied)


def test_raw_request_with_a_trusted_token_names_the_switch_and_entitlements(socket_directory: Path) -> None:
    with (
        RawHost(socket_directory / "sock", forbid) as raw_host,
        Client(raw_host.path, token="token") as client,
        client.request("GET", "/1.0/storage-volumes") as found,
    ):
        error = found.error()
    assert isinstance(error, PermissionDenied)
    assert str(error) == "/1.0/storage-volumes: permission denied"
    assert error.hint is not None
    assert error.hint.startswith(
        "on the host: lxc config set INSTANCE security.devlxd.management.volumes=true, and"
    )


@pytest.mark.parametrize("profile", ["lxd-5.0", "incus"])
@pytest.mark.parametrize("name", COMMANDS)
def test_host_without_the_api_exits_with_3(profile: str, name: str, start_host: StartHost) -> None:
    host = start_host(profile=profile)
    subject, command = COMMANDS[name]
    subject = "default" if name == "create" else subject
    hint = "use a host with LXD 6.6 or later: Incus and older LXD do not offer volumes to guests"
    done = host.run(*command.split())
    assert (done.status, done.stdout) == (3, b"")
    assert done.stderr.decode().endswith(f": not supported by this host\nhint: {hint}\n"), done.stderr


@pytest.mark.parametrize("name", [name for name in COMMANDS if "attach" not in name and "detach" not in name])
def test_unknown_pool_is_named_instead_of_the_volume(name: str, host: Host) -> None:
    command = COMMANDS[name][1].replace("default", "nope")
    expected = error("nope", "no such storage pool", "on the host: lxc storage list")
    assert host.run(*command.split()) == (6, b"", expected)


def test_unknown_volume_is_named_instead_of_its_snapshot(host: Host) -> None:
    expected = error(
        *("nope", "no such volume, or it has another owner"),
        "list the volumes: devlxdctl volume ls POOL",
    )
    assert host.run("volume", "snapshot", "show", "default", "nope", "snap0") == (6, b"", expected)


def test_volume_of_another_owner_is_not_found(host: Host) -> None:
    done = host.run("volume", "show", "default", "other")
    assert done.status == 6
    assert done.stderr.startswith(b"devlxdctl: other: no such volume, or it has another owner\n")
