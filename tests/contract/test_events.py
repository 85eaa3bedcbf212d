"""Events, changes and Ready on every host, while it restarts, hangs, or changes a thousand keys at once."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest

from tests.contract.expected import EXPECTED
from tests.hosts import DaemonHost, Host, StopSignal
from tests.hosts.jobs import Job, poll
from tests.support.program import PROGRAM


def start_watch(host: Host, *argv: str) -> Job:
    """Start `config watch` in the guest and wait until it has read everything: it prints `user.start`."""
    host.set({"user.start": "1"})
    job = host.start(PROGRAM, "config", "watch", *argv)
    job.wait_for(b"user.start")
    return job


def start_events(host: Host, *argv: str) -> Job:
    """Start `events` in the guest and wait until it is connected."""
    job = host.start(PROGRAM, "-v", "events", *argv)
    job.wait_for(b": 101\n", stderr=True)
    return job


def reported_values(watch: Job) -> dict[str, str]:
    """Return the last value of each key that `watch` printed, after a check that no change is left out."""
    last: dict[str, str] = {}
    for line in watch.stdout().splitlines(keepends=True):
        if line.endswith(b"\n"):
            change = json.loads(line)
            assert change["old_value"] == last.get(change["key"])
            last[change["key"]] = change["value"]
    return last


def has_socket(job: Job) -> bool:
    """Whether the process of `job` has opened a socket."""
    directory = f"/proc/{job.pid}/fd"
    try:
        links = [os.readlink(f"{directory}/{descriptor}") for descriptor in os.listdir(directory)]
    except FileNotFoundError:  # a descriptor was closed meanwhile
        return False
    return any(link.startswith("socket:") for link in links)


def test_events_report_changes_of_keys_and_devices_in_order(any_host: Host) -> None:
    any_host.set({"user.a": "1"})
    job = start_events(any_host, "-f", "json", "--count", "4")
    any_host.set({"user.a": "2"})
    any_host.set({"user.a": None, "limits.memory": "1GiB"})
    options = {"type": "disk", "source": "/usr", "path": "/mnt", "readonly": "true"}
    any_host.add_device("data", options)
    any_host.remove_device("data")
    assert job.wait() == 0
    events = [json.loads(line) for line in job.stdout().splitlines()]
    assert [(event["type"], event["metadata"]) for event in events] == [
        ("config", {"key": "user.a", "old_value": "1", "value": "2"}),
        ("config", {"key": "user.a", "old_value": "2", "value": ""}),
        ("device", {"action": "added", "config": options, "name": "data"}),
        ("device", {"action": "removed", "config": options, "name": "data"}),
    ]


def test_thousand_changes_at_once_are_all_reported(any_host: Host) -> None:
    events = start_events(any_host, "-f", "json", "--type", "config", "--count", "1001")
    watch = start_watch(any_host, "-f", "json")
    any_host.set({f"user.k{number:03}": f"v{number}" for number in range(500)})
    any_host.set({f"user.k{number:03}": f"w{number}" for number in range(500)})
    assert events.wait() == 0
    seen = [json.loads(line)["metadata"] for line in events.stdout().splitlines()]
    assert seen[0]["key"] == "user.start"
    assert {(change["key"], change["value"]) for change in seen[1:]} == {
        (f"user.k{number:03}", f"{letter}{number}") for number in range(500) for letter in "vw"
    }
    assert len(seen) == 1001
    final = {"user.start": "1", **{f"user.k{number:03}": f"w{number}" for number in range(500)}}

    def has_final_values() -> bool | None:
        any_host.revive_daemon()  # the watch reads many keys over two connections
        return reported_values(watch) == final or None

    poll("the final values", has_final_values, 60, interval=0.1)


@pytest.mark.parametrize("signal_name", ["TERM", "KILL"])
def test_change_without_an_event_is_reported_once_after_a_restart(
    signal_name: StopSignal, any_host: Host
) -> None:
    """A stopped daemon changes no keys, so this uses a cloud-init key, whose changes have no event."""
    watch = start_watch(any_host, "--interval", "0")
    wait = any_host.start(PROGRAM, "wait", "config", "cloud-init.user-data", "new", "--timeout", "60")
    any_host.set({"cloud-init.user-data": "new"})
    any_host.stop_daemon(signal_name)
    any_host.start_daemon()
    watch.wait_for(b"added\tcloud-init.user-data\tnew\t\n")
    assert (wait.wait(), wait.stdout()) == (0, b"new\n")
    any_host.set({"user.start": "2"})
    watch.wait_for(b"changed\tuser.start\t2\t1\n")
    assert watch.stdout().count(b"cloud-init.user-data") == 1
    assert watch.stderr() == b""


def test_events_report_a_gap_after_a_restart_and_continue(any_host: Host) -> None:
    job = start_events(any_host)
    any_host.stop_daemon("KILL")
    any_host.start_daemon()
    job.wait_for(b", its events are lost\n", 60, stderr=True)
    gap = rb"\ndevlxdctl: events: host unavailable for \d+\.\d s, its events are lost\n"
    assert len(re.findall(gap, job.stderr())) == 1
    any_host.set({"user.a": "1"})
    job.wait_for(b"config\tadded\tuser.a\t1\t\n")


def test_nothing_is_lost_while_the_daemon_hangs(real_host: DaemonHost) -> None:
    events = start_events(real_host)
    watch = start_watch(real_host)
    real_host.freeze_daemon()
    request = real_host.start(PROGRAM, "-v", "--wait", "60", "config", "get", "user.start")
    poll("the socket of the request", lambda: has_socket(request) or None, 20)
    real_host.thaw_daemon()
    real_host.set({"user.start": "2"})
    events.wait_for(b"config\tchanged\tuser.start\t2\t1\n")
    watch.wait_for(b"changed\tuser.start\t2\t1\n")
    assert (request.wait(), request.stdout() in (b"1\n", b"2\n")) == (0, True)


@pytest.mark.parametrize("signal_name", ["TERM", "KILL"])
def test_hold_reports_ready_again_after_a_restart(signal_name: StopSignal, any_host: Host) -> None:
    job = any_host.start(PROGRAM, "ready", "--hold", "--interval", "0.2")
    if not EXPECTED[any_host.name].has_readiness:
        assert job.wait() == 3
        return
    poll("Ready", lambda: any_host.ready() or None, 20)
    any_host.stop_daemon(signal_name)
    any_host.start_daemon()
    poll("Ready again", lambda: any_host.ready() or None, 20)
    assert job.running
    job.kill(signal.SIGTERM)
    assert (job.wait(), job.stdout(), job.stderr()) == (-signal.SIGTERM, b"", b"")


def test_hold_outlives_restarts_that_begin_before_it_has_reported_ready(any_host: Host) -> None:
    if not EXPECTED[any_host.name].has_readiness:
        assert any_host.run(PROGRAM, "ready", "--hold").status == 3
        return
    any_host.run(PROGRAM, "ready", "--unset")
    # As its unit: without --wait it would end where the daemon is stopped before its first request.
    job = any_host.start(PROGRAM, "ready", "--hold", "--interval", "0.2", "--wait", "60")
    for _ in range(12):
        any_host.stop_daemon("TERM")
        any_host.start_daemon()
    poll("Ready", lambda: any_host.ready() or None, 20)
    assert job.running


def test_watch_reports_what_changed_while_the_api_was_switched_off(any_host: Host) -> None:
    watch = start_watch(any_host, "--interval", "0.2")
    any_host.switch_api(False)
    any_host.set({"cloud-init.user-data": "new"})
    any_host.switch_api(True)
    watch.wait_for(b"added\tcloud-init.user-data\tnew\t\n")
    any_host.set({"user.start": "2"})
    watch.wait_for(b"changed\tuser.start\t2\t1\n")


def test_wait_device_ends_when_the_device_is_added_or_removed(any_host: Host) -> None:
    options = {"type": "disk", "source": "/usr", "path": "/mnt", "readonly": "true"}
    job = any_host.start(PROGRAM, "wait", "device", "data", "--timeout", "60", "-f", "json")
    any_host.add_device("data", options)
    assert (job.wait(), json.loads(job.stdout())) == (0, options)
    job = any_host.start(PROGRAM, "wait", "device", "data", "--gone", "--timeout", "60")
    any_host.remove_device("data")
    assert (job.wait(), job.stdout(), job.stderr()) == (0, b"", b"")


def test_closed_pipe_ends_watch_by_sigpipe(any_host: Host) -> None:
    any_host.set({"user.start": "1"})
    script = '"$0" config watch | head -1; echo "${PIPESTATUS[0]}"'
    job = any_host.start("bash", "-c", script, PROGRAM)
    assert (job.wait(20), job.stdout(), job.stderr()) == (0, b"initial\tuser.start\t1\t\n141\n", b"")
