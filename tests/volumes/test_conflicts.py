"""Tests of two programs that change one volume or one instance at the same time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from devlxdctl import Client, Conflict, DevLXDError
from tests.support.raw_host import RawHost, response
from tests.volumes.support import TOKEN, VOLUMES_OF_CI, Host, StartHost

VOLUME = '{{"name":"data","description":"","content_type":"filesystem","config":{{{}}}}}'
MISMATCH = response(b"ETag does not match\n", "text/plain; charset=utf-8", "412 Precondition Failed")
STARTED = response(b'{"id":"1","status":"Running","status_code":103,"err":""}')
ENDED = response(b'{"id":"1","status":"Success","status_code":200,"err":""}')


class ChangingHost:
    """A host whose volume another program changes between two requests: `configs` are what each GET reads."""

    def __init__(self, *configs: str, refused: int) -> None:
        self.configs = list(configs)
        self.refused = refused
        self.patches: list[bytes] = []

    def __call__(self, request: bytes) -> bytes:
        if request.startswith(b"PATCH"):
            self.patches.append(request)
            return MISMATCH if len(self.patches) <= self.refused else STARTED
        if b"/wait?" in request:
            return ENDED
        config = self.configs.pop(0) if len(self.configs) > 1 else self.configs[0]
        number = len(self.configs)
        return response(VOLUME.format(config).encode(), extra=f'ETag: "e{number}"\r\n')


def test_refused_change_is_merged_into_the_new_state(socket_directory: Path) -> None:
    host = ChangingHost('"size":"1MB"', '"size":"1MB","user.b":"2"', '"user.a":"1","user.b":"2"', refused=1)
    with RawHost(socket_directory / "sock", host), Client(socket_directory / "sock", token=TOKEN) as client:
        volume = client.set_volume("default", "data", config={"user.a": "1"}).wait()
    assert volume["config"] == {"user.a": "1", "user.b": "2"}
    assert [b'If-Match: "e2"' in each for each in host.patches] == [True, False]
    assert [b'If-Match: "e1"' in each for each in host.patches] == [False, True]


def test_change_of_the_same_key_by_another_program_is_a_conflict(socket_directory: Path) -> None:
    host = ChangingHost('"user.a":"0"', '"user.a":"2"', refused=1)
    with (
        RawHost(socket_directory / "sock", host),
        Client(socket_directory / "sock", token=TOKEN) as client,
        pytest.raises(Conflict) as caught,
    ):
        client.set_volume("default", "data", config={"user.a": "1"})
    assert str(caught.value) == "data: another program changed it at the same time: user.a"
    assert (caught.value.exit_status, len(host.patches)) == (8, 1)


def test_change_that_is_refused_twice_is_a_conflict(socket_directory: Path) -> None:
    host = ChangingHost("", refused=9)
    with (
        RawHost(socket_directory / "sock", host),
        Client(socket_directory / "sock", token=TOKEN) as client,
        pytest.raises(Conflict) as caught,
    ):
        client.set_volume("default", "data", config={"user.a": "1"})
    assert str(caught.value) == "data: another program changed it at the same time"
    assert (caught.value.http_status, len(host.patches)) == (412, 2)


def test_lost_change_of_two_accepted_ones_is_a_conflict(slow_host: Host) -> None:
    # The host accepts both before it makes the first one, and the second one undoes that.
    first = slow_host.client.set_volume("default", "data", config={"user.a": "1"})
    second = slow_host.client.set_volume("default", "data", config={"user.b": "2"})
    slow_host.simulator.finish_operations()
    with pytest.raises(Conflict) as caught:
        first.wait()
    assert str(caught.value) == "data: another program changed it at the same time"
    assert second.wait()["config"].get("user.b") == "2"


def test_size_is_changed_without_losing_the_description(host: Host) -> None:
    volume = host.client.set_volume("default", "data", size="2GiB").wait()
    assert (volume["description"], volume["config"]["size"]) == ("the database", "2GiB")


def test_empty_value_unsets_a_key_and_empty_description_is_kept(host: Host) -> None:
    host.client.set_volume("default", "data", config={"user.a": "1"}).wait()
    volume = host.client.set_volume("default", "data", config={"user.a": ""}, description="").wait()
    assert "user.a" not in volume["config"]
    assert volume["description"] == ""


def test_programs_that_change_one_volume_at_once_lose_nothing(host: Host) -> None:
    failed: list[DevLXDError] = []
    made: list[str] = []
    start = threading.Barrier(4)

    def change(key: str) -> None:
        with Client(host.simulator.path, token=TOKEN) as client:
            start.wait(timeout=30)
            for number in range(5):
                name = f"user.{key}{number}"
                try:
                    client.set_volume("default", "data", config={name: "1"}).wait()
                    made.append(name)
                except Conflict as error:
                    failed.append(error)

    threads = [threading.Thread(target=change, args=(key,)) for key in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    config = host.client.volume("default", "data")["config"]
    assert len(made) + len(failed) == 20
    assert set(made) <= set(config)
    assert {error.exit_status for error in failed} <= {8}


def test_programs_that_attach_at_once_lose_nothing(host: Host) -> None:
    names = ["a", "b", "c"]
    for name in names:
        host.client.create_volume("default", name).wait()
    attached: list[str] = []
    start = threading.Barrier(len(names))

    def attach(name: str) -> None:
        with Client(host.simulator.path, token=TOKEN) as client:
            start.wait(timeout=30)
            try:
                client.attach_volume("default", name, f"/mnt/{name}")
                attached.append(name)
            except Conflict:
                pass

    threads = [threading.Thread(target=attach, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert attached
    assert {name for name in host.client.devices() if name in names} == set(attached)


def test_two_programs_that_create_one_volume_get_it_once(host: Host) -> None:
    first = host.client.create_volume("default", "new", if_missing=True)
    with Client(host.simulator.path, token=TOKEN) as other:
        second = other.create_volume("default", "new", if_missing=True)
        assert first.wait() == second.wait()
    assert host.count("POST", "") == 1


def test_creation_by_another_program_that_runs_is_waited_for(start_host: StartHost) -> None:
    host = start_host("operation-seconds=1", pools=VOLUMES_OF_CI)
    first = host.client.create_volume("default", "new")
    with pytest.raises(Conflict):
        host.client.create_volume("default", "new")
    second = host.client.create_volume("default", "new", if_missing=True)
    assert (second.id, second.done) == ("", True)
    assert first.wait() == second.wait()
