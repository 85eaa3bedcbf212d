"""Hosts that go away and come back, are switched off, hang, or do not know who is asking."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.contract.expected import EXPECTED
from tests.hosts import PROGRAM, DaemonHost, Host, Result


@pytest.mark.parametrize("how", ["TERM", "KILL"])
def test_a_question_bears_a_restart_of_the_daemon(
    how: Literal["TERM", "KILL"], real_host: DaemonHost
) -> None:
    real_host.set({"user.role": "web"})
    real_host.stop(how)
    job = real_host.start(PROGRAM, "-v", "config", "get", "user.role")
    job.wait_for(b"; again in", stderr=True)
    real_host.resume()
    assert (job.wait(), job.stdout()) == (0, b"web\n")


def test_ready_bears_a_restart_of_the_daemon(real_host: DaemonHost) -> None:
    if not EXPECTED[real_host.name].state:
        assert real_host.run(PROGRAM, "ready").status == 3
        return
    real_host.stop("KILL")
    job = real_host.start(PROGRAM, "-v", "ready")
    job.wait_for(b"; again in", stderr=True)
    real_host.resume()
    assert job.wait() == 0
    assert real_host.ready() is True


def test_a_daemon_that_stays_away_is_given_up_on(real_host: DaemonHost) -> None:
    expected = EXPECTED[real_host.name]
    real_host.stop("TERM")
    result = real_host.run(PROGRAM, "state")
    socket = real_host.socket
    lines = (
        f"devlxdctl: {socket}: no such socket now; tried for 10 s\n"
        f"hint: the daemon of the host is down or starting; on the host: {expected.client} info\n"
    )
    assert result == Result(7, b"", lines.encode())


def test_wait_takes_as_long_as_the_host(host: Host) -> None:
    host.set({"user.role": "web"})
    host.stop("TERM")
    job = host.start(PROGRAM, "-v", "--wait", "20", "config", "get", "user.role")
    job.wait_for(b"; again in", stderr=True)
    host.resume()
    assert (job.wait(), job.stdout()) == (0, b"web\n")


def test_a_socket_that_was_switched_off(host: Host) -> None:
    expected = EXPECTED[host.name]
    host.offer(False)
    hint = (
        "hint: is this a guest of LXD or Incus? If it is, on the host: "
        f"{expected.client} config set INSTANCE {expected.switch}=true\n"
    )
    # Without a socket that says which host it is, LXD's is looked for and LXD's words are used.
    bare = host.run(PROGRAM, "state", "--socket", host.socket)
    assert bare == Result(5, b"", f"devlxdctl: {host.socket}: no such socket\n{hint}".encode())
    job = host.start(PROGRAM, "-v", "wait", "host", "--timeout", "20", "--socket", host.socket)
    job.wait_for(b"; again in", stderr=True)
    host.offer(True)
    assert (job.wait(), job.stdout()) == (0, b"")


def test_a_daemon_that_hangs_is_waited_for(real_host: DaemonHost) -> None:
    real_host.freeze()
    result = real_host.run(PROGRAM, "wait", "host", "--timeout", "0")
    client = EXPECTED[real_host.name].client
    lines = (
        f"devlxdctl: {real_host.socket}: no answer within 1 s; waited 0 s\n"
        f"hint: the daemon of the host hangs; on the host: {client} info\n"
    )
    assert result == Result(124, b"", lines.encode())
    job = real_host.start(PROGRAM, "-v", "state", "api_version")
    real_host.thaw()
    assert (job.wait(), job.stdout()) == (0, b"1.0\n")


def test_a_process_that_the_host_cannot_place(real_host: DaemonHost) -> None:
    """In a pid namespace of its own, as in a container inside the guest: the host answers 500."""
    argv = ["unshare", "--pid", "--fork", PROGRAM, "--wait", "0.3", "state"]
    result = real_host.run(*argv)
    client = EXPECTED[real_host.name].client
    lines = (
        "devlxdctl: /1.0: the host answered with status 500: pid not in container?; waited 0.3 s\n"
        "hint: a process in a container inside this guest is not known to the host: run it in the guest "
        f"itself. Otherwise look at the daemon; on the host: {client} info\n"
    )
    assert result == Result(124, b"", lines.encode())
