"""The rest of the API inside a guest, on every host: much of it is not offered by most."""

from __future__ import annotations

import json
from pathlib import Path

from tests.contract.expected import EXPECTED
from tests.hosts import PROGRAM, DaemonHost, Host, Result


def devlxdctl(host: Host, *argv: str, **how: object) -> Result:
    return host.run(PROGRAM, *argv, **how)  # type: ignore[arg-type]


def checks(result: Result) -> dict[str, tuple[str, str, str]]:
    rows = [line.split("\t") for line in result.stdout.decode().splitlines()]
    return {row[1]: (row[0], row[2], row[3]) for row in rows}


def test_metadata_and_a_dump_with_it(host: Host) -> None:
    host.set({"user.meta-data": "zone: ü\ttab", "user.b/c": "1\n"})
    result = devlxdctl(host, "metadata")
    assert (result.status, result.stderr) == (0, b"")
    assert b"\nlocal-hostname: " in b"\n" + result.stdout
    assert result.stdout.endswith("\nzone: ü\ttab".encode())
    whole = devlxdctl(host, "dump")
    assert (whole.status, whole.stderr) == (0, b"")
    dump = json.loads(whole.stdout)
    assert list(dump) == ["versions", "state", "config", "devices", "metadata"]
    assert dump["versions"] == ["/1.0"]
    assert dump["state"]["api_version"] == "1.0"
    assert dump["config"] == {"user.b/c": "1\n", "user.meta-data": "zone: ü\ttab"}
    assert dump["devices"]["root"] == {"path": "/", "pool": "default", "type": "disk"}
    assert dump["metadata"] == result.stdout.decode()


def test_pro(host: Host) -> None:
    expected = EXPECTED[host.name]
    if "auth" in expected.more_fields:
        assert devlxdctl(host, "pro", "status") == Result(0, b"guest_attach\toff\n", b"")
        result = devlxdctl(host, "pro", "token", "-o", "/tmp/never")
        assert (result.status, result.stdout) == (4, b"")
        return
    lines = (
        "devlxdctl: /1.0/ubuntu-pro/token: this host does not offer it: 404 page not found\n"
        "hint: newer LXD offers Ubuntu Pro to its guests; Incus does not\n"
    )
    assert devlxdctl(host, "pro", "token") == Result(3, b"", lines.encode())


def test_a_query_of_what_there_is(host: Host) -> None:
    host.set({"user.role": "web"})
    assert devlxdctl(host, "query", "/1.0/config/user.role") == Result(0, b"web", b"")
    result = devlxdctl(host, "query", "-i", "/1.0/config/user.role")
    assert result.stdout.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nDate: ")
    assert result.stdout.endswith(b"\r\nContent-Length: 3\r\n\r\nweb")


def test_a_query_of_what_there_is_not(host: Host) -> None:
    result = devlxdctl(host, "query", "/1.0/config/user.none")
    assert (result.status, result.stdout) == (6, b"")
    assert result.stderr.lower() == (
        b"not found\ndevlxdctl: /1.0/config/user.none: the host answered with status 404\n"
    )


def test_a_path_that_is_not_clean_is_answered_with_a_redirect(host: Host) -> None:
    result = devlxdctl(host, "query", "-i", "/1.0/config/a/../b")
    assert (result.status, result.stdout[:11]) == (1, b"HTTP/1.1 30")
    assert b"\r\nLocation: /1.0/config/b\r\n" in result.stdout


def test_a_body_from_stdin(host: Host) -> None:
    argv = ["query", "-X", "PATCH", "-d", "@-", "/1.0"]
    result = devlxdctl(host, *argv, stdin=b'{"state":"Ready"}')
    assert (result.status, result.stderr) == (0, b"")
    if EXPECTED[host.name].state:
        assert result.stdout == b""
        assert host.ready() is True


def test_a_nic_that_is_configured_but_not_there(real_host: DaemonHost) -> None:
    """The host has it; the guest has changed the address that it would be known by."""
    real_host.add_device("uplink", {"type": "nic", "nictype": "p2p", "name": "eth0"})
    assert devlxdctl(real_host, "devices", "uplink").stdout.startswith(b"uplink\tnic\teth0\t")
    changed = real_host.run("ip", "link", "set", "dev", "eth0", "address", "02:00:00:00:00:01")
    assert changed.status == 0, changed.stderr
    assert devlxdctl(real_host, "devices", "uplink").stdout.startswith(b"uplink\tnic\t-\t")


def test_doctor_finds_nothing_wrong(host: Host) -> None:
    host.set({"user.role": "web"})
    ready = host.ready()
    result = devlxdctl(host, "doctor", "--socket", host.socket)
    assert (result.status, result.stderr) == (0, b"")
    found = checks(result)
    expected = EXPECTED[host.name]
    assert not [name for name, line in found.items() if line[0] == "fail"]
    generation = " 6" if "auth" in expected.more_fields else "" if expected.state else " 5.0"
    assert found["api"] == ("ok", f"{expected.product}{generation}, /1.0", "")
    assert found["config"] == ("ok", "1 key", "")
    assert found["events"][0] == "ok"
    assert found["ready"][0] == ("ok" if expected.state else "skip")
    fix = f"on the host: {expected.client} config set INSTANCE {expected.switch}.images=true"
    assert found["images"] == ("skip", "their export is switched off", fix)
    # It looks only.
    assert host.ready() is ready
    host.set({f"{expected.switch}.images": "true"})
    assert checks(devlxdctl(host, "doctor", "--socket", host.socket))["images"][0] == "ok"


def test_doctor_as_nobody(real_host: DaemonHost) -> None:
    result = devlxdctl(real_host, "doctor", user=65534)
    assert (result.status, result.stderr) == (4, b"")
    found = checks(result)
    product, mounts = EXPECTED[real_host.name].product, f"/dev/.{real_host.name}-mounts"
    assert found["guest"] == ("ok", f"a container of {product}: {mounts}", "")
    sudo = "only root may use it: sudo devlxdctl …"
    assert found["user"] == ("fail", "uid 65534: the host answers root only", sudo)
    assert found["answer"] == ("fail", "not permitted: Access denied for non-root user", sudo)
    assert found["connection"][0] == "ok"


def test_doctor_where_the_api_is_switched_off(real_host: DaemonHost) -> None:
    """Nothing but the machine itself says whose words to use."""
    expected = EXPECTED[real_host.name]
    real_host.offer(False)
    result = devlxdctl(real_host, "doctor")
    assert (result.status, result.stderr) == (5, b"")
    fix = f"the devLXD API is switched off; on the host: {expected.client} config set INSTANCE "
    directory = str(Path(real_host.socket).parent)
    assert checks(result)["directory"] == (
        "fail",
        f"{directory} is not there",
        f"{fix}{expected.switch}=true",
    )
    hint = f"hint: is this a guest of LXD or Incus? If it is, on the host: {expected.client} config set "
    assert hint.encode() in devlxdctl(real_host, "state").stderr


def test_doctor_where_the_daemon_is_stopped(real_host: DaemonHost) -> None:
    client = EXPECTED[real_host.name].client
    real_host.stop("TERM")
    result = devlxdctl(real_host, "doctor", "--wait", "0.2")
    assert (result.status, result.stderr) == (124, b"")
    fix = (
        f"on the host: {client} info. Where that answers, the socket was lost when the host was upgraded: "
        f"{client} restart INSTANCE"
    )
    found = checks(result)
    assert found["directory"][0] == "ok"
    assert found["socket"] == ("fail", f"{real_host.socket}: no such socket now; waited 0.2 s", fix)


def test_doctor_where_the_daemon_hangs(lxd_host: DaemonHost) -> None:
    lxd_host.clear()
    lxd_host.freeze()
    result = devlxdctl(lxd_host, "doctor", "--wait", "0")
    assert (result.status, result.stderr) == (124, b"")
    fix = "the daemon of the host hangs; on the host: lxc info"
    assert checks(result)["connection"] == ("fail", "no answer within 1 s; waited 0 s", fix)


def test_doctor_where_the_host_cannot_place_the_process(real_host: DaemonHost) -> None:
    result = real_host.run("unshare", "--pid", "--fork", PROGRAM, "doctor", "--wait", "0.2")
    assert (result.status, result.stderr) == (124, b"")
    status, detail, fix = checks(result)["answer"]
    assert (status, detail) == (
        "fail",
        "the host answered with status 500: pid not in container?; waited 0.2 s",
    )
    assert fix.startswith("a process in a container inside this guest is not known to the host")
