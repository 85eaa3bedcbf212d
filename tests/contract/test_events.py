"""Events, changes and Ready on every host, while it restarts, hangs, or changes a thousand things at once."""

from __future__ import annotations

import json
import signal
from typing import Literal

import pytest

from tests.contract.expected import EXPECTED
from tests.hosts import PROGRAM, DaemonHost, Host
from tests.hosts.jobs import Job, poll


def watching(host: Host, *argv: str) -> Job:
    """`config watch` in the guest, when it has read everything: it shows `user.start`."""
    host.set({"user.start": "1"})
    job = host.start(PROGRAM, "config", "watch", *argv)
    job.wait_for(b"user.start")
    return job


def listening(host: Host, *argv: str) -> Job:
    """`events` in the guest, when it hears the host."""
    job = host.start(PROGRAM, "-v", "events", *argv)
    job.wait_for(b": 101\n", stderr=True)
    return job


def test_events_of_keys_and_devices(host: Host) -> None:
    host.set({"user.a": "1"})
    job = listening(host, "-f", "json", "--count", "4")
    host.set({"user.a": "2"})
    host.set({"user.a": None, "limits.memory": "1GiB"})
    options = {"type": "disk", "source": "/usr", "path": "/mnt", "readonly": "true"}
    host.add_device("data", options)
    host.remove_device("data")
    assert job.wait() == 0
    events = [json.loads(line) for line in job.stdout().splitlines()]
    assert [(event["type"], event["metadata"]) for event in events] == [
        ("config", {"key": "user.a", "old_value": "1", "value": "2"}),
        ("config", {"key": "user.a", "old_value": "2", "value": ""}),
        ("device", {"action": "added", "config": options, "name": "data"}),
        ("device", {"action": "removed", "config": options, "name": "data"}),
    ]


def test_a_thousand_changes_at_once_none_lost(host: Host) -> None:
    events = listening(host, "-f", "json", "--type", "config", "--count", "1001")
    watch = watching(host, "-f", "json")
    host.set({f"user.k{number:03}": f"v{number}" for number in range(500)})
    host.set({f"user.k{number:03}": f"w{number}" for number in range(500)})
    assert events.wait() == 0
    seen = [json.loads(line)["metadata"] for line in events.stdout().splitlines()]
    assert seen[0]["key"] == "user.start"
    assert {(change["key"], change["value"]) for change in seen[1:]} == {
        (f"user.k{number:03}", f"{letter}{number}") for number in range(500) for letter in "vw"
    }
    assert len(seen) == 1001
    host.set({"user.z-end": "1"})
    watch.wait_for(b"user.z-end")
    last: dict[str, str] = {}
    for line in watch.stdout().splitlines():
        change = json.loads(line)
        assert change["old_value"] == last.get(change["key"])
        last[change["key"]] = change["value"]
    assert last == {
        "user.start": "1",
        "user.z-end": "1",
        **{f"user.k{number:03}": f"w{number}" for number in range(500)},
    }


@pytest.mark.parametrize("how", ["TERM", "KILL"])
def test_what_changes_while_the_daemon_is_away_is_reported_once(
    how: Literal["TERM", "KILL"], host: Host
) -> None:
    """A daemon that is down takes no changes: the one that no event tells of stands for them."""
    watch = watching(host, "--interval", "0")
    wait = host.start(PROGRAM, "wait", "config", "cloud-init.user-data", "new", "--timeout", "60")
    host.set({"cloud-init.user-data": "new"})
    host.stop(how)
    host.resume()
    watch.wait_for(b"added\tcloud-init.user-data\tnew\t\n")
    assert (wait.wait(), wait.stdout()) == (0, b"new\n")
    host.set({"user.start": "2"})
    watch.wait_for(b"changed\tuser.start\t2\t1\n")
    assert watch.stdout().count(b"cloud-init.user-data") == 1
    assert watch.stderr() == b""


def test_events_tell_of_the_gap(host: Host) -> None:
    job = listening(host)
    host.stop("KILL")
    host.resume()
    job.wait_for(b"and its events are lost\n", stderr=True)
    host.set({"user.a": "1"})
    job.wait_for(b"config\tadded\tuser.a\t1\t\n")


def test_a_daemon_that_hangs_for_a_while_loses_nothing(real_host: DaemonHost) -> None:
    events = listening(real_host)
    watch = watching(real_host)
    real_host.freeze()
    late = real_host.start(PROGRAM, "-v", "--wait", "60", "config", "get", "user.start")
    poll("the request is on its way", lambda: late.running or None, 5)
    real_host.thaw()
    real_host.set({"user.start": "2"})
    events.wait_for(b"config\tchanged\tuser.start\t2\t1\n")
    watch.wait_for(b"changed\tuser.start\t2\t1\n")
    assert late.wait() == 0


def test_switching_the_api_off_and_on_is_borne(host: Host) -> None:
    watch = watching(host, "--interval", "0.2")
    host.offer(False)
    host.set({"cloud-init.user-data": "new"})
    host.offer(True)
    watch.wait_for(b"added\tcloud-init.user-data\tnew\t\n")
    host.set({"user.start": "2"})
    watch.wait_for(b"changed\tuser.start\t2\t1\n")


@pytest.mark.parametrize("how", ["TERM", "KILL"])
def test_ready_stays(how: Literal["TERM", "KILL"], host: Host) -> None:
    job = host.start(PROGRAM, "ready", "--hold", "--interval", "0.2")
    if not EXPECTED[host.name].state:
        assert job.wait() == 3
        return
    poll("ready", lambda: host.ready() or None, 20)
    host.stop(how)
    host.resume()
    poll("ready again", lambda: host.ready() or None, 20)
    assert job.running
    job.kill(signal.SIGTERM)
    assert (job.wait(), job.stdout(), job.stderr()) == (-signal.SIGTERM, b"", b"")


def test_waiting_for_a_device(host: Host) -> None:
    options = {"type": "disk", "source": "/usr", "path": "/mnt", "readonly": "true"}
    job = host.start(PROGRAM, "wait", "device", "data", "--timeout", "30", "-f", "json")
    host.add_device("data", options)
    assert (job.wait(), json.loads(job.stdout())) == (0, options)
    job = host.start(PROGRAM, "wait", "device", "data", "--gone", "--timeout", "30")
    host.remove_device("data")
    assert (job.wait(), job.stdout(), job.stderr()) == (0, b"", b"")


def test_a_reader_that_went_away_ends_it(host: Host) -> None:
    host.set({"user.start": "1"})
    job = host.start("bash", "-c", '"$0" config watch | head -1; echo "${PIPESTATUS[0]}"', PROGRAM)
    assert (job.wait(20), job.stdout(), job.stderr()) == (0, b"initial\tuser.start\t1\t\n141\n", b"")
