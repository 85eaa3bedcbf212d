"""The diagnosis on hosts that work, and on hosts where something is wrong."""

from __future__ import annotations

from pathlib import Path

from tests.contract.commands import devlxdctl
from tests.contract.expected import EXPECTED
from tests.hosts import DaemonHost, Host
from tests.support.program import PROGRAM, Result

Row = tuple[str, str, str]


def checks(result: Result) -> dict[str, Row]:
    """Return status, detail and fix of each check by its name."""
    rows = [line.split("\t") for line in result.stdout.decode().splitlines()]
    return {row[1]: (row[0], row[2], row[3]) for row in rows}


def test_doctor_reports_a_host_that_works_and_changes_nothing(any_host: Host) -> None:
    any_host.set({"user.role": "web"})
    ready = any_host.ready()
    result = devlxdctl(any_host, "doctor", "--socket", any_host.socket)
    assert (result.status, result.stderr) == (0, b"")
    found, expected = checks(result), EXPECTED[any_host.name]
    assert [name for name, row in found.items() if row[0] == "fail"] == []
    assert found["api"] == ("ok", f"{expected.product}{expected.generation}, /1.0", "")
    assert found["config"] == ("ok", "1 key", "")
    assert found["events"] == ("ok", "a websocket connects", "")
    readiness = ("ok", "supported; the instance is Started", "")
    missing = ("skip", "not supported by this host", "")
    assert found["ready"] == (readiness if expected.has_readiness else missing)
    fix = f"on the host: {expected.client} config set INSTANCE {expected.api_key}.images=true"
    assert found["images"] == ("skip", "export is switched off", fix)
    assert any_host.ready() is ready


def test_doctor_reports_that_images_can_be_exported(any_host: Host) -> None:
    any_host.set({f"{EXPECTED[any_host.name].api_key}.images": "true"})
    found = checks(devlxdctl(any_host, "doctor", "--socket", any_host.socket))
    assert found["images"] == ("ok", "public and cached images can be exported", "")


def test_doctor_tells_a_user_other_than_root_to_use_sudo(real_host: DaemonHost) -> None:
    result = devlxdctl(real_host, "doctor", user=65534)
    assert (result.status, result.stderr) == (4, b"")
    found, product = checks(result), EXPECTED[real_host.name].product
    sign = f"{product} container (/dev/.{real_host.name}-mounts)"
    assert found["guest"] == ("ok", sign, "")
    fix = "only root can use it: sudo devlxdctl …"
    assert found["user"] == ("fail", "uid 65534: the host accepts root only", fix)
    assert found["answer"] == ("fail", "permission denied: Access denied for non-root user", fix)
    assert found["connection"] == ("ok", "accepted", "")


def test_doctor_names_the_product_while_the_api_is_switched_off(real_host: DaemonHost) -> None:
    expected = EXPECTED[real_host.name]
    real_host.switch_api(False)
    result = devlxdctl(real_host, "doctor")
    assert (result.status, result.stderr) == (5, b"")
    directory = Path(real_host.socket).parent
    fix = f"on the host: {expected.client} config set INSTANCE {expected.api_key}=true"
    assert checks(result)["directory"] == ("fail", f"{directory} does not exist", fix)


def test_doctor_reports_a_stopped_daemon_or_a_lost_socket(real_host: DaemonHost) -> None:
    expected = EXPECTED[real_host.name]
    client = expected.client
    real_host.stop_daemon("TERM")
    result = devlxdctl(real_host, "doctor", "--wait", "0.2")
    assert (result.status, result.stderr) == (124, b"")
    found = checks(result)
    assert found["directory"] == ("ok", str(Path(real_host.socket).parent), "")
    fix = (
        f"on the host: {client} info. If that works, the socket was lost in an upgrade of the host: "
        f"{client} restart INSTANCE, or set {expected.api_key}=false on it and unset that again"
    )
    assert found["socket"] == ("fail", f"{real_host.socket}: no such socket now; waited 0.2 s", fix)


def test_doctor_reports_a_daemon_that_does_not_respond(real_host: DaemonHost) -> None:
    client = EXPECTED[real_host.name].client
    real_host.freeze_daemon()
    result = devlxdctl(real_host, "doctor", "--wait", "0")
    assert (result.status, result.stderr) == (124, b"")
    fix = f"the daemon of the host does not respond; on the host: {client} info"
    assert checks(result)["connection"] == ("fail", "no response within 1 s; waited 0 s", fix)


def test_doctor_in_a_nested_container_says_to_run_it_in_the_guest(real_host: DaemonHost) -> None:
    result = real_host.run("unshare", "--pid", "--fork", PROGRAM, "doctor")
    assert (result.status, result.stderr) == (7, b"")
    fix = "run it in the guest itself: the host cannot identify processes of a container inside the guest"
    assert checks(result)["answer"] == ("fail", "HTTP status 500: pid not in container?", fix)
