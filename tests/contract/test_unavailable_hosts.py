"""Hosts that restart, hang, are switched off, or cannot identify the process."""

from __future__ import annotations

from pathlib import Path

import pytest

from devlxdctl.guest import SOCKETS
from tests.contract.commands import devlxdctl, failure
from tests.contract.expected import EXPECTED
from tests.hosts import DaemonHost, Host, StopSignal
from tests.hosts.jobs import Job
from tests.support.program import PROGRAM, Result, run
from tests.support.raw_host import RawHost, response

RETRY = b"; retry in "
"""What -v logs before each pause."""

NESTED = "run it in the guest itself: the host cannot identify processes of a container inside the guest"
"""The hint in a container inside the guest."""

FORBIDDEN = response(b"not authorized\n", "text/plain; charset=utf-8", "403 Forbidden")

WAITS = pytest.mark.parametrize(
    "wait", [("host",), ("config", "user.role"), ("device", "root")], ids=lambda wait: wait[0]
)


@pytest.mark.parametrize("signal_name", ["TERM", "KILL"])
def test_request_is_retried_while_the_daemon_restarts(signal_name: StopSignal, real_host: DaemonHost) -> None:
    real_host.set({"user.role": "web"})
    real_host.stop_daemon(signal_name)
    job = real_host.start(PROGRAM, "-v", "config", "get", "user.role")
    job.wait_for(RETRY, stderr=True)
    real_host.start_daemon()
    assert (job.wait(), job.stdout()) == (0, b"web\n")


def test_request_is_retried_until_the_host_changes_the_mode_of_a_new_socket(real_host: DaemonHost) -> None:
    """LXD and Incus create the socket first, and then let all users connect."""
    real_host.set({"user.role": "web"})
    with real_host.socket_without_permission():
        job = real_host.start(PROGRAM, "-v", "config", "get", "user.role")
        job.wait_for(b": permission denied" + RETRY, stderr=True)
    assert (job.wait(), job.stdout()) == (0, b"web\n")


def test_socket_that_stays_without_permission_is_permission_denied(real_host: DaemonHost) -> None:
    hint = "only root can use it: sudo devlxdctl …"
    with real_host.socket_without_permission():
        waited = devlxdctl(real_host, "--wait", "0.3", "state")
        tried = devlxdctl(real_host, "state")
        as_nobody = devlxdctl(real_host, "state", user=65534)
    assert waited == failure(124, real_host.socket, "permission denied; waited 0.3 s", hint)
    assert tried == failure(4, real_host.socket, "permission denied; tried for 10 s", hint)
    assert as_nobody == failure(4, real_host.socket, "permission denied", hint)


def test_ready_is_retried_while_the_daemon_restarts(real_host: DaemonHost) -> None:
    if not EXPECTED[real_host.name].has_readiness:
        assert real_host.run(PROGRAM, "ready").status == 3
        return
    real_host.stop_daemon("KILL")
    job = real_host.start(PROGRAM, "-v", "ready")
    job.wait_for(RETRY, stderr=True)
    real_host.start_daemon()
    assert job.wait() == 0
    assert real_host.ready() is True


def test_request_fails_after_ten_seconds_without_the_daemon(real_host: DaemonHost) -> None:
    real_host.stop_daemon("TERM")
    hint = f"the daemon of the host is stopped or starting; on the host: {_client(real_host)} info"
    expected = failure(7, real_host.socket, "no such socket now; tried for 10 s", hint)
    assert devlxdctl(real_host, "state") == expected


def test_request_with_wait_succeeds_when_the_daemon_returns(any_host: Host) -> None:
    any_host.set({"user.role": "web"})
    any_host.stop_daemon("TERM")
    job = any_host.start(PROGRAM, "-v", "--wait", "60", "config", "get", "user.role")
    job.wait_for(RETRY, stderr=True)
    any_host.start_daemon()
    assert (job.wait(), job.stdout()) == (0, b"web\n")


def test_request_fails_at_once_while_the_api_is_switched_off(any_host: Host) -> None:
    any_host.switch_api(False)
    result = devlxdctl(any_host, "-v", "state", "--socket", any_host.socket)
    assert result == failure(5, any_host.socket, "no such socket", _api_off_hint(any_host))


@WAITS
def test_wait_ends_with_124_while_the_api_is_switched_off(wait: tuple[str, ...], any_host: Host) -> None:
    any_host.switch_api(False)
    result = devlxdctl(any_host, "wait", *wait, "--timeout", "0.3", "--socket", any_host.socket)
    expected = failure(124, any_host.socket, "no such socket; waited 0.3 s", _api_off_hint(any_host))
    assert result == expected


@WAITS
def test_wait_succeeds_when_the_api_is_switched_on(wait: tuple[str, ...], any_host: Host) -> None:
    any_host.set({"user.role": "web"})
    any_host.switch_api(False)
    job = any_host.start(PROGRAM, "-v", "wait", *wait, "--timeout", "60", "--socket", any_host.socket)
    job.wait_for(RETRY, stderr=True)
    any_host.switch_api(True)
    assert (job.wait(), job.stdout()) == (0, _output_of_wait(wait))


def test_wait_retries_403_of_an_api_that_is_being_switched_on(socket_directory: Path) -> None:
    """Real hosts create the socket shortly before they accept requests."""
    path = socket_directory / "sock"
    responses = iter([FORBIDDEN, FORBIDDEN, response(b'{"state":"Started"}')])
    with Job([PROGRAM, "-v", "wait", "host", "--timeout", "60", "--socket", str(path)]) as job:
        job.wait_for(RETRY, stderr=True)
        with RawHost(path, lambda _: next(responses)) as raw_host:
            assert (job.wait(), job.stdout()) == (0, b"")
            assert len(raw_host.requests) == 3


def test_wait_does_not_retry_403_of_a_host_that_was_there_from_the_start(socket_directory: Path) -> None:
    path = socket_directory / "sock"
    with RawHost(path, FORBIDDEN):
        result = run("wait", "host", "--timeout", "60", socket=path)
    hint = "on the host: lxc config set INSTANCE security.devlxd=true"
    assert result == failure(4, "/1.0", "permission denied", hint)


@WAITS
@pytest.mark.parametrize("signal_name", ["TERM", "KILL"])
def test_wait_ends_with_124_while_the_daemon_is_stopped(
    signal_name: StopSignal, wait: tuple[str, ...], real_host: DaemonHost
) -> None:
    real_host.set({"user.role": "web"})
    real_host.stop_daemon(signal_name)
    problem = "no such socket now" if signal_name == "TERM" else "connection refused"
    hint = f"the daemon of the host is stopped or starting; on the host: {_client(real_host)} info"
    result = devlxdctl(real_host, "wait", *wait, "--timeout", "0.3")
    assert result == failure(124, real_host.socket, f"{problem}; waited 0.3 s", hint)


@WAITS
@pytest.mark.parametrize("signal_name", ["TERM", "KILL"])
def test_wait_succeeds_when_the_daemon_returns_before_the_timeout(
    signal_name: StopSignal, wait: tuple[str, ...], real_host: DaemonHost
) -> None:
    real_host.set({"user.role": "web"})
    real_host.stop_daemon(signal_name)
    job = real_host.start(PROGRAM, "-v", "wait", *wait, "--timeout", "60")
    job.wait_for(RETRY, stderr=True)
    real_host.start_daemon()
    assert (job.wait(), job.stdout()) == (0, _output_of_wait(wait))


@WAITS
def test_wait_ends_at_its_timeout_while_the_daemon_hangs(
    wait: tuple[str, ...], real_host: DaemonHost
) -> None:
    real_host.set({"user.role": "web"})
    real_host.freeze_daemon()
    hint = f"the daemon of the host does not respond; on the host: {_client(real_host)} info"
    result = devlxdctl(real_host, "wait", *wait, "--timeout", "0.3")
    # A host gets at least one second to respond.
    assert result == failure(124, real_host.socket, "no response within 1 s; waited 0.3 s", hint)


def test_request_waits_for_a_daemon_that_hangs(real_host: DaemonHost) -> None:
    real_host.freeze_daemon()
    job = real_host.start(PROGRAM, "-v", "--wait", "60", "state", "api_version")
    with pytest.raises(TimeoutError):
        job.wait(0.5)
    real_host.thaw_daemon()
    assert (job.wait(), job.stdout()) == (0, b"1.0\n")


@pytest.mark.parametrize(
    ("argv", "subject"),
    [
        (["state"], "/1.0"),
        (["--wait", "60", "state"], "/1.0"),
        (["config", "get", "user.role"], "user.role"),
        (["config", "watch"], "/1.0/events?type=config"),
        (["events"], "/1.0/events?type=config,device"),
        (["image", "export", "0" * 64], "0" * 64),
        (["wait", "host"], "/1.0"),
        (["wait", "config", "user.role", "--timeout", "60"], "/1.0/events?type=config"),
        (["ready"], "/1.0"),
    ],
    ids=lambda value: " ".join(value)[:20] if isinstance(value, list) else "",
)
def test_nested_container_gets_its_hint_without_a_retry(
    argv: list[str], subject: str, real_host: DaemonHost
) -> None:
    """LXD, and Incus before 7, answer with status 500 to a PID namespace inside the guest."""
    result = real_host.run("unshare", "--pid", "--fork", PROGRAM, *argv)
    # After a retry, the problem would end with the time that was spent on it.
    assert result == failure(7, subject, "HTTP status 500: pid not in container?", NESTED)


def test_query_in_a_nested_container_prints_the_response_without_a_retry(real_host: DaemonHost) -> None:
    result = real_host.run("unshare", "--pid", "--fork", PROGRAM, "-v", "query", "/1.0")
    lines = (
        f"devlxdctl: GET /1.0: 500\npid not in container?\ndevlxdctl: /1.0: HTTP status 500\nhint: {NESTED}\n"
    )
    assert result == Result(7, b"", lines.encode())


def _client(host: Host) -> str:
    return EXPECTED[host.name].client


def _api_off_hint(host: Host) -> str:
    expected = EXPECTED[host.name]
    fix = f"on the host: {expected.client} config set INSTANCE {expected.api_key}=true"
    # The guest of the simulator is this machine, which shows no sign of a guest.
    return fix if host.socket in SOCKETS else f"is this a guest of LXD or Incus? If it is, {fix}"


def _output_of_wait(wait: tuple[str, ...]) -> bytes:
    return {"host": b"", "config": b"web\n", "device": b"root\tdisk\t-\tpath=/\tpool=default\n"}[wait[0]]
