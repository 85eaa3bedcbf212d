"""`Client.render`, `save_file`, `watch_file` and `watch_bursts`."""

from __future__ import annotations

import logging
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl import (
    BadData,
    Change,
    Client,
    ConfigValue,
    EnvironmentFile,
    FileOptions,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    SavedFile,
    Template,
)
from devlxdctl.simulator import Simulator
from tests.config.jobs import wait_until


@pytest.fixture
def client(simulator: Simulator) -> Iterator[Client]:
    with Client(simulator.path) as client:
        yield client


def reject(path: str) -> None:
    """A check that accepts nothing."""
    raise BadData("check", "rejected")


class TestRender:
    @pytest.mark.parametrize(
        ("content", "text"),
        [
            (ConfigValue("user.role"), "web\n"),
            (ConfigValue("user.role", newline=False), "web"),
            (EnvironmentFile(), "USER_PORT='8080'\nUSER_ROLE='web'\n"),
            (
                EnvironmentFile(["user.r*", "user.port"], prefix="", export=True),
                "export PORT='8080'\nexport ROLE='web'\n",
            ),
            (EnvironmentFile(["user.none.*"]), ""),
            (Template("<${user.role}>"), "<web>"),
        ],
    )
    def test_render_returns_the_text_of_each_kind_of_content(
        self, content: ConfigValue | EnvironmentFile | Template, text: str, client: Client
    ) -> None:
        assert client.render(content) == text

    @pytest.mark.parametrize(
        "content",
        [
            ConfigValue("user.nope"),
            EnvironmentFile(["user.nope"]),
            EnvironmentFile(["user.nope", "user.role"]),
            Template("${user.role} ${user.nope}"),
        ],
    )
    def test_render_raises_not_found_for_a_key_that_is_not_set(
        self, content: ConfigValue | EnvironmentFile | Template, client: Client, tmp_path: Path
    ) -> None:
        with pytest.raises(NotFound, match=r"^user\.nope: not set on this instance$"):
            client.render(content)
        with pytest.raises(NotFound, match=r"^user\.nope: not set on this instance$"):
            client.save_file(content, tmp_path / "file")
        with pytest.raises(NotFound, match=r"^user\.nope: not set on this instance$"):
            next(client.watch_file(content, tmp_path / "file"))

    def test_render_with_optional_returns_none_unless_variables_are_left(self, client: Client) -> None:
        assert client.render(ConfigValue("user.nope"), optional=True) is None
        assert client.render(Template("${user.nope}"), optional=True) is None
        assert client.render(EnvironmentFile(["user.nope", "user.none.*"]), optional=True) is None
        found = client.render(EnvironmentFile(["user.nope", "user.role"]), optional=True)
        assert found == "USER_ROLE='web'\n"

    def test_render_raises_permission_denied_for_a_key_that_guests_cannot_read(
        self, client: Client, tmp_path: Path
    ) -> None:
        content = ConfigValue("limits.cpu")
        with pytest.raises(PermissionDenied):
            client.render(content, optional=True)
        with pytest.raises(PermissionDenied):
            next(client.watch_file(content, tmp_path / "file", FileOptions(optional=True)))


class TestSaveFile:
    def test_save_file_returns_whether_the_content_changed(self, client: Client, tmp_path: Path) -> None:
        file = tmp_path / "file"
        for changed in (True, False):
            assert client.save_file(ConfigValue("user.role"), file) == SavedFile(str(file), changed)
        assert client.save_file(ConfigValue("user.role"), str(file), FileOptions(mode=0o644)) == (
            str(file),
            False,
        )
        assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("web\n", 0o644)

    def test_save_file_with_optional_keeps_the_file_unless_it_is_to_be_removed(
        self, client: Client, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        file.write_text("old\n")
        content = ConfigValue("user.nope")
        assert client.save_file(content, file, FileOptions(optional=True)) == SavedFile(str(file), False)
        assert file.read_text() == "old\n"
        options = FileOptions(optional=True, remove=True)
        assert client.save_file(content, file, options) == SavedFile(str(file), True)
        assert not file.exists()

    def test_save_file_rejects_an_unknown_owner_before_any_request(
        self, client: Client, simulator: Simulator
    ) -> None:
        with pytest.raises(InvalidRequest, match="nope: no such user"):
            client.save_file(ConfigValue("user.role"), "/nowhere/file", FileOptions(owner="nope"))
        assert simulator.requests == []

    def test_save_file_raises_what_its_check_raises(self, client: Client, tmp_path: Path) -> None:
        with pytest.raises(BadData, match=r"^check: rejected$"):
            client.save_file(ConfigValue("user.role"), tmp_path / "file", FileOptions(check=reject))
        assert list(tmp_path.iterdir()) == []


class TestWatchFile:
    def test_watch_file_yields_the_first_result_and_those_that_changed_the_file(
        self, client: Client, simulator: Simulator, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        file.write_text("web\n")
        results = client.watch_file(ConfigValue("user.role"), file)
        assert next(results) == SavedFile(str(file), False)
        simulator.set({"user.role": "db"})
        assert next(results) == SavedFile(str(file), True)
        assert file.read_text() == "db\n"
        simulator.set({"user.role": "1"})
        simulator.set({"user.role": "2"})
        assert next(results) == SavedFile(str(file), True)
        assert file.read_text() == "2\n"

    def test_closing_watch_file_ends_the_stream_of_events(
        self, client: Client, simulator: Simulator, tmp_path: Path
    ) -> None:
        results = client.watch_file(ConfigValue("user.role"), tmp_path / "file")
        next(results)
        assert simulator.show()["listeners"] == 1
        results.close()  # type: ignore[attr-defined]  # a generator
        wait_until("nobody listens", lambda: simulator.show()["listeners"] == 0)

    def test_watch_file_reads_keys_without_events_and_the_file_at_the_interval(
        self, client: Client, simulator: Simulator, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        simulator.set({"cloud-init.user-data": "1"})
        results = client.watch_file(Template("${cloud-init.user-data}"), file, interval=0.1)
        assert next(results).changed and file.read_text() == "1"
        simulator.set({"cloud-init.user-data": "2"})
        assert next(results).changed and file.read_text() == "2"
        file.write_text("of another program")
        assert next(results).changed and file.read_text() == "2"
        file.unlink()
        assert next(results).changed and file.read_text() == "2"

    def test_watch_file_logs_a_failed_check_and_does_not_retry_the_same_content(
        self, client: Client, simulator: Simulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        file = tmp_path / "file"
        checked = []

        def check(path: str) -> None:
            checked.append(Path(path).read_text())
            if checked[-1] != "db\n":
                raise BadData(str(file), "check failed")

        options = FileOptions(check=check)
        results = client.watch_file(ConfigValue("user.role"), file, options, interval=0.05)

        def change() -> None:
            """Wait for some full re-reads, and set the value that is accepted."""
            before = len(simulator.requests)
            wait_until("three re-reads", lambda: len(simulator.requests) >= before + 3)
            simulator.set({"user.role": "db"})

        thread = threading.Thread(target=change)
        thread.start()
        assert next(results).changed
        thread.join()
        assert checked == ["web\n", "db\n"]
        assert [(r.levelno, r.getMessage()) for r in caplog.records if r.levelno >= logging.WARNING] == [
            (logging.WARNING, f"{file}: check failed")
        ]

    def test_watch_file_raises_other_errors_of_its_check(self, client: Client, tmp_path: Path) -> None:
        def check(path: str) -> None:
            raise RuntimeError("a bug")

        with pytest.raises(RuntimeError, match="a bug"):
            next(client.watch_file(ConfigValue("user.role"), tmp_path / "file", FileOptions(check=check)))
        assert list(tmp_path.iterdir()) == []

    def test_watch_file_raises_at_the_start_if_the_file_cannot_be_written(
        self, client: Client, tmp_path: Path
    ) -> None:
        with pytest.raises(BadData, match="no such file or directory"):
            next(client.watch_file(ConfigValue("user.role"), tmp_path / "nope" / "file"))


class TestWatchBursts:
    def test_first_burst_has_the_values_and_later_bursts_have_the_changes(
        self, client: Client, simulator: Simulator
    ) -> None:
        bursts = client.watch_bursts("user.*")
        first = next(bursts)
        assert first.values == {"user.port": "8080", "user.role": "web"}
        assert sorted(first.changes, key=lambda change: change.key) == [
            Change("user.port", "8080", None, "initial"),
            Change("user.role", "web", None, "initial"),
        ]
        simulator.set({"user.role": "db", "user.new": "1", "user.port": ""})
        second = next(bursts)
        assert second.values == {"user.new": "1", "user.role": "db"}
        assert sorted(second.changes, key=lambda change: change.key) == [
            Change("user.new", "1", None, "added"),
            Change("user.port", None, "8080", "removed"),
            Change("user.role", "db", "web", "changed"),
        ]

    def test_watch_bursts_yields_nothing_without_a_change(self, client: Client, simulator: Simulator) -> None:
        bursts = client.watch_bursts("user.*", interval=0.05)
        next(bursts)
        before = len(simulator.requests)

        def change() -> None:
            wait_until("three re-reads", lambda: len(simulator.requests) >= before + 9)
            simulator.set({"user.role": "db"})

        thread = threading.Thread(target=change)
        thread.start()
        assert [change.value for change in next(bursts).changes] == ["db"]
        thread.join()

    def test_watch_bursts_raises_not_found_for_a_named_key_that_is_not_set(self, client: Client) -> None:
        with pytest.raises(NotFound) as caught:
            next(client.watch_bursts("user.rol", "user.none.*"))
        assert (str(caught.value), caught.value.hint) == (
            "user.rol: not set on this instance",
            "did you mean user.role?",
        )

    def test_watch_bursts_with_optional_accepts_a_named_key_that_is_not_set(self, client: Client) -> None:
        assert next(client.watch_bursts("user.rol", optional=True)).values == {}

    def test_watch_bursts_keeps_changes_while_a_named_key_is_not_set(
        self, client: Client, simulator: Simulator, caplog: pytest.LogCaptureFixture
    ) -> None:
        bursts = client.watch_bursts("user.role", "user.port")
        next(bursts)

        def change() -> None:
            simulator.set({"user.port": "", "user.role": "db"})
            wait_until("it is logged", lambda: "user.port: not set on this instance" in caplog.text)
            simulator.set({"user.port": "1"})

        thread = threading.Thread(target=change)
        thread.start()
        burst = next(bursts)
        thread.join()
        assert burst.values == {"user.port": "1", "user.role": "db"}
        assert [(each.key, each.value) for each in burst.changes if each.key == "user.role"] == [
            ("user.role", "db")
        ]
        assert [each.value for each in burst.changes if each.key == "user.port"] == [None, "1"]

    def test_burst_ends_although_changes_continue(self, client: Client, simulator: Simulator) -> None:
        ended = threading.Event()

        def change() -> None:
            number = 0
            while not ended.wait(0.01):
                number += 1
                simulator.set({"user.role": str(number)})

        bursts = client.watch_bursts("user.role")
        next(bursts)
        thread = threading.Thread(target=change)
        thread.start()
        try:
            burst = next(bursts)
        finally:
            ended.set()
            thread.join()
        assert burst.changes
