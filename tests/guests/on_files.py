"""The example units that follow config keys, in guests that boot systemd: with nginx, SSH, CA certificates.

Each guest is booted once, and again in the middle. What is in `examples/` is installed as its comments say.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator

import pytest

from tests.guests.debian import ZIPAPP
from tests.guests.systemd import booted, properties, run, wait_for_boot
from tests.hosts import DaemonHost, Result
from tests.hosts.jobs import poll
from tests.hosts.software import INCUS, LXD
from tests.readme import EXAMPLES
from tests.soak import Restart, restart

GUESTS = [("trixie", INCUS), ("bookworm", LXD)]
LIMIT = 90.0
MAX_HELD = 30.0
"""Seconds that the boot may wait for a unit while the API is switched off: for the start of some programs."""
UNITS = ("app", "app-env", "site", "ssh-key", "ca-certificate")

# The application prints its port to a file, and so does the one with a unit of its own.
_APP = """#!/bin/sh
echo "$(id -un) ${APP_PORT-none} ${APP_NAME-none}" >>/run/app/started
exec sleep infinity
"""

# With the limit of five starts in an hour, a test of it does not depend on how fast a guest is.
_PACKAGED = """[Unit]
StartLimitIntervalSec=1h
[Service]
User=app
EnvironmentFile=-/run/app.env
Environment=HOME=/packaged
ExecStart=/usr/local/bin/packaged
[Install]
WantedBy=multi-user.target
"""

_SET_UP = """set -e
apt-get -q install -y --no-install-recommends python3 nginx ca-certificates openssh-server >/dev/null
rm -f /etc/nginx/sites-enabled/default
useradd --create-home app
useradd --create-home --shell /bin/sh admin
echo 'd /run/app 0755 app app' >/etc/tmpfiles.d/app.conf
systemd-tmpfiles --create
ssh-keygen -q -t ed25519 -N '' -f /root/key
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /root/ca.key -out /root/ca.pem \
    -days 2 -subj '/CN=devlxdctl test' 2>/dev/null
"""

pytestmark = pytest.mark.timeout(1800)  # the first test of a release may have to make its image


def shell(guest: DaemonHost, script: str, status: int | None = 0) -> str:
    return run(guest, "sh", "-c", script, status=status).stdout.decode()


def put(guest: DaemonHost, path: str, data: bytes, mode: str = "0644") -> None:
    run(guest, "sh", "-c", 'cat >"$0" && chmod "$1" "$0"', path, mode, stdin=data)


def wait_for(guest: DaemonHost, what: str, holds: Callable[[], bool]) -> None:
    """Wait until `holds`; otherwise fail with what the units have written."""
    try:
        poll(what, lambda: holds() or None, LIMIT, interval=0.1)
    except TimeoutError as error:
        units = " ".join(f"-u {unit}" for unit in UNITS)
        log = shell(guest, f"journalctl --no-pager -n 60 {units}; systemctl --no-pager --failed", status=None)
        raise AssertionError(f"{error}\n{log}") from error


def activation_seconds(guest: DaemonHost, unit: str) -> float:
    """How long the boot waited for a unit."""
    names = ("InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    begin, end = properties(guest, unit, *names)
    return (int(end) - int(begin)) / 1e6


def failed_units(guest: DaemonHost) -> list[str]:
    """The units of the test that have failed. In a container, some units of systemd itself do."""
    listed = shell(guest, "systemctl --failed --plain --no-legend").splitlines()
    names = {line.split()[0].removesuffix(".service") for line in listed}
    return sorted(names & {*UNITS, "packaged", "nginx", "ssh"})


def reboot(guest: DaemonHost) -> None:
    guest.restart_guest()
    wait_for_boot(guest)


@pytest.fixture(scope="module", params=GUESTS, ids=lambda guest: f"{guest[0]} on {guest[1].name}")
def guest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonHost]:
    """A guest with all example units enabled and started, and no config keys."""
    release, software = request.param
    with booted(release, software, tmp_path_factory.mktemp("daemon")) as host:
        shell(host, _SET_UP)
        put(host, "/usr/local/bin/devlxdctl", ZIPAPP.read_bytes(), "0755")
        put(host, "/usr/local/bin/app", _APP.encode(), "0755")
        put(host, "/usr/local/bin/packaged", _APP.replace("started", "packaged").encode(), "0755")
        put(host, "/usr/local/bin/check-site", (EXAMPLES / "check-site.sh").read_bytes(), "0755")
        put(host, "/etc/nginx/site.tmpl", (EXAMPLES / "site.tmpl").read_bytes())
        for unit in UNITS:
            put(host, f"/etc/systemd/system/{unit}.service", (EXAMPLES / f"{unit}.service").read_bytes())
        # app-env.service is for an application with a unit of its own. Here that is packaged.service.
        shell(host, "sed -i s/app.service/packaged.service/g /etc/systemd/system/app-env.service")
        put(host, "/etc/systemd/system/packaged.service", _PACKAGED.encode())
        shell(host, f"systemctl daemon-reload; systemctl enable --now {' '.join(UNITS)} packaged ssh nginx")
        yield host


def lines(guest: DaemonHost, name: str) -> list[str]:
    """What an application has printed, one line for each start since the boot."""
    return shell(guest, f"cat /run/app/{name} 2>/dev/null", status=None).splitlines()


def wait_for_last(guest: DaemonHost, name: str, line: str) -> None:
    wait_for(guest, f"{name}: {line}", lambda: lines(guest, name)[-1:] == [line])


def fetch(guest: DaemonHost, port: int, host: str = "example.com") -> str:
    """Return what nginx serves, or nothing."""
    code = (
        "import http.client; c = http.client.HTTPConnection('127.0.0.1', {port}, timeout=5);"
        " c.request('GET', '/', headers={{'Host': '{host}'}}); r = c.getresponse();"
        " print(r.headers['X-Host'], r.read().decode(), end='')"
    )
    argv = ["python3", "-c", code.format(port=port, host=host)]
    return run(guest, *argv, status=None).stdout.decode()


def test_application_and_environment_file_follow_the_keys(guest: DaemonHost) -> None:
    guest.set({"user.app.port": "8080", "user.app.name": "it's"})
    wait_for_last(guest, "started", "app 8080 it's")
    wait_for_last(guest, "packaged", "app 8080 it's")
    before = [len(lines(guest, name)) for name in ("started", "packaged")]
    guest.set({"user.app.port": "9090", "user.app.name": "two"})
    wait_for_last(guest, "started", "app 9090 two")
    wait_for_last(guest, "packaged", "app 9090 two")
    # One update of two keys is one restart.
    assert [len(lines(guest, name)) for name in ("started", "packaged")] == [each + 1 for each in before]
    assert shell(guest, "stat -c '%a %U' /run/app.env; cat /run/app.env") == (
        "600 root\nAPP_NAME='two'\nAPP_PORT='9090'\n"
    )


def test_application_follows_more_changes_than_systemd_permits_starts(guest: DaemonHost) -> None:
    for port in range(7):
        guest.set({"user.app.port": str(port), "user.app.name": "two"})
        wait_for_last(guest, "packaged", f"app {port} two")
    assert properties(guest, "packaged", "ActiveState") == ["active"]


def test_application_that_has_failed_stays_failed(guest: DaemonHost) -> None:
    shell(guest, "systemctl kill -s KILL packaged")
    wait_for(guest, "failed", lambda: properties(guest, "packaged", "ActiveState") == ["failed"])
    guest.set({"user.app.port": "6060", "user.app.name": "two"})
    wait_for_last(guest, "started", "app 6060 two")
    wait_for(guest, "the file", lambda: "6060" in shell(guest, "cat /run/app.env"))
    guest.set({"user.app.port": "6061"})  # and so the command for the change before has ended
    wait_for(guest, "the file", lambda: "6061" in shell(guest, "cat /run/app.env"))
    assert properties(guest, "packaged", "ActiveState") == ["failed"]
    shell(guest, "systemctl reset-failed packaged; systemctl start packaged")
    wait_for_last(guest, "packaged", "app 6061 two")


def test_application_that_is_stopped_stays_stopped(guest: DaemonHost) -> None:
    shell(guest, "systemctl stop packaged")
    guest.set({"user.app.port": "7070", "user.app.name": "two"})
    wait_for_last(guest, "started", "app 7070 two")
    wait_for(guest, "the file", lambda: "7070" in shell(guest, "cat /run/app.env"))
    assert properties(guest, "packaged", "ActiveState") == ["inactive"]
    shell(guest, "systemctl start packaged")
    wait_for_last(guest, "packaged", "app 7070 two")


def test_unit_stops_with_its_application_and_without_a_failure(guest: DaemonHost) -> None:
    guest.set({"user.app.port": "5050", "user.app.name": "two"})
    wait_for_last(guest, "started", "app 5050 two")
    wait_for_last(guest, "packaged", "app 5050 two")
    started = lines(guest, "started")
    shell(guest, "systemctl stop app")
    assert properties(guest, "app", "ActiveState", "Result") == ["inactive", "success"]
    assert shell(guest, "pgrep -u app -f 'sleep infinity' | wc -l").strip() == "1"  # that of packaged.service
    shell(guest, "systemctl start app")
    wait_for(guest, "another start", lambda: lines(guest, "started") == [*started, "app 5050 two"])


def test_site_is_checked_before_nginx_reads_it(guest: DaemonHost) -> None:
    guest.set({"user.site.domain": "example.com", "user.site.text": "one"})
    wait_for(guest, "the site", lambda: fetch(guest, 80) == "example.com one\n")
    (process,) = properties(guest, "nginx", "MainPID")
    old = shell(guest, "cat /etc/nginx/conf.d/site.conf")
    guest.set({"user.site.text": 'bad"; }', "user.site.domain": "example.com; {"})
    failed = "site.conf: check failed: /usr/local/bin/check-site ended with exit status 1"
    wait_for(guest, failed, lambda: failed in shell(guest, "journalctl --no-pager -u site"))
    assert shell(guest, "cat /etc/nginx/conf.d/site.conf") == old
    assert shell(guest, "ls -A /etc/nginx/conf.d") == "site.conf\n"
    assert fetch(guest, 80) == "example.com one\n"
    shell(guest, "nginx -t -q && systemctl reload nginx")
    guest.set({"user.site.text": "two", "user.site.domain": "example.com", "user.site.port": "8081"})
    wait_for(guest, "the new site", lambda: fetch(guest, 8081) == "example.com two\n")
    assert properties(guest, "nginx", "MainPID", "ActiveState") == [process, "active"]


def log_in(guest: DaemonHost) -> Result:
    options = "-i /root/key -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    return run(guest, "ssh", *shlex.split(options), "admin@127.0.0.1", "id", "-un", status=None)


def test_ssh_key_lets_its_owner_in(guest: DaemonHost) -> None:
    assert log_in(guest).status == 255
    # As an administrator sets it: the shell removes the newline at the end.
    guest.set({"user.ssh-keys": shell(guest, "cat /root/key.pub").rstrip("\n")})
    file = "/home/admin/.ssh/authorized_keys"
    wait_for(guest, file, lambda: run(guest, "test", "-e", file, status=None).status == 0)
    assert (
        shell(guest, f"stat -c '%a %U:%G' {file}; cat /root/key.pub | diff - {file}") == "600 admin:admin\n"
    )
    result = log_in(guest)
    assert (result.status, result.stdout) == (0, b"admin\n")


BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def is_trusted(guest: DaemonHost) -> bool:
    verify = f"openssl verify -CAfile {BUNDLE} /root/ca.pem"
    return run(guest, "sh", "-c", verify, status=None).status == 0


def test_certificate_is_trusted_while_it_is_set(guest: DaemonHost) -> None:
    assert not is_trusted(guest)
    certificate = shell(guest, "cat /root/ca.pem")
    guest.set({"user.ca": certificate.rstrip("\n")})
    wait_for(guest, "the certificate", lambda: is_trusted(guest))
    guest.set({"user.ca": "no certificate"})
    failed = "site.crt: check failed: openssl ended with exit status 1"
    wait_for(guest, failed, lambda: failed in shell(guest, "journalctl --no-pager -u ca-certificate"))
    assert is_trusted(guest)
    guest.set({"user.ca": None})
    wait_for(guest, "no certificate", lambda: not is_trusted(guest))
    guest.set({"user.ca": certificate})
    wait_for(guest, "the certificate again", lambda: is_trusted(guest))


SITE = {"user.site.domain": "example.com", "user.site.port": "8081"}


@pytest.mark.parametrize("kind", ["TERM", "KILL", "STOP"])
def test_units_follow_the_keys_after_a_restart_of_the_daemon(guest: DaemonHost, kind: Restart) -> None:
    before = [properties(guest, unit, "MainPID", "NRestarts") for unit in UNITS]
    guest.set({"user.app.port": f"before-{kind}", "user.app.name": "two", **SITE})
    restart(guest, kind)
    guest.set({"user.app.port": kind, "user.site.text": kind})
    wait_for_last(guest, "started", f"app {kind} two")
    wait_for_last(guest, "packaged", f"app {kind} two")
    wait_for(guest, "the site", lambda: fetch(guest, 8081) == f"example.com {kind}\n")
    # devlxdctl kept running: systemd has restarted none of them.
    assert [properties(guest, unit, "MainPID", "NRestarts") for unit in UNITS] == before


def test_units_follow_the_keys_after_a_reboot_with_values_from_meanwhile(guest: DaemonHost) -> None:
    shell(guest, "systemctl stop app app-env site")
    guest.set({"user.app.port": "rebooted", "user.app.name": "two", "user.site.text": "rebooted", **SITE})
    key = shell(guest, "cat /root/key.pub").rstrip("\n")
    guest.set({"user.ca": shell(guest, "cat /root/ca.pem"), "user.ssh-keys": key})
    wait_for(guest, "the certificate", lambda: is_trusted(guest))
    wait_for(guest, "the key", lambda: log_in(guest).status == 0)
    reboot(guest)
    wait_for_last(guest, "started", "app rebooted two")
    wait_for_last(guest, "packaged", "app rebooted two")
    # The file was there before the applications started, so each has started once.
    assert (len(lines(guest, "started")), len(lines(guest, "packaged"))) == (1, 1)
    wait_for(guest, "the site", lambda: fetch(guest, 8081) == "example.com rebooted\n")
    assert is_trusted(guest)
    assert log_in(guest).stdout == b"admin\n"
    assert failed_units(guest) == []


def test_boot_with_the_api_switched_off_is_not_held_and_nothing_fails(guest: DaemonHost) -> None:
    guest.switch_api(False)
    try:
        guest.restart_guest(has_api=False)
        wait_for_boot(guest)
        assert properties(guest, "multi-user.target", "ActiveState") == ["active"]
        times = {unit: activation_seconds(guest, unit) for unit in UNITS}
        print(f"{guest.name}: seconds until a unit counted as started: {times}", flush=True)
        assert max(times.values()) < MAX_HELD
        for unit in UNITS:
            assert properties(guest, unit, "ActiveState", "NRestarts", "Result") == [
                "active",
                "0",
                "success",
            ], unit
        assert properties(guest, "packaged", "ActiveState") == ["active"]
        assert failed_units(guest) == []
        assert lines(guest, "started") == []
        assert lines(guest, "packaged") == ["app none none"]
        guest.set({"user.app.port": "late", "user.app.name": "two"})
    finally:
        guest.switch_api(True)
    wait_for_last(guest, "started", "app late two")
    wait_for_last(guest, "packaged", "app late two")
    for unit in UNITS:
        assert properties(guest, unit, "NRestarts") == ["0"]


def test_daemon_is_stopped_at_boot_and_comes_later(guest: DaemonHost) -> None:
    """The same where the socket is there and nobody responds."""
    shell(guest, "systemctl stop app app-env")
    guest.stop_daemon("KILL")
    try:
        run(guest, "systemctl", "start", "app-env", "app")
        assert properties(guest, "app", "ActiveState", "NRestarts") == ["active", "0"]
    finally:
        guest.start_daemon()
    guest.set({"user.app.port": "back", "user.app.name": "two"})
    wait_for_last(guest, "started", "app back two")
    wait_for_last(guest, "packaged", "app back two")
