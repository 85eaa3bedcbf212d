"""Tests of attaching and detaching volumes."""

from __future__ import annotations

import pytest

from devlxdctl import Conflict, InvalidRequest, NotFound, PermissionDenied
from devlxdctl.volumes.attach import instance_name
from tests.volumes.support import VOLUMES_OF_CI, Host, StartHost

DATA = {"type": "disk", "pool": "default", "source": "data", "path": "/srv"}


def test_attached_volume_is_listed_and_can_be_detached(host: Host) -> None:
    assert host.client.attach_volume("default", "data", "/srv") == DATA
    assert host.client.devices()["data"] == DATA
    assert host.client.attach_volume("default", "data", "/srv") == DATA
    assert host.count("PATCH", "") == 1
    host.client.detach_volume("data")
    assert "data" not in host.client.devices()
    with pytest.raises(NotFound):
        host.client.detach_volume("data")


def test_device_gets_its_name_and_options(host: Host) -> None:
    device = host.client.attach_volume("default", "data", "/srv", device="db", options={"readonly": "true"})
    assert device == {**DATA, "readonly": "true"}
    assert list(host.client.devices()) == ["db", "root"]


def test_device_with_other_options_is_a_conflict(host: Host) -> None:
    host.client.attach_volume("default", "data", "/srv")
    with pytest.raises(Conflict) as caught:
        host.client.attach_volume("default", "data", "/other")
    assert str(caught.value) == "data: device exists already, with other options"


@pytest.mark.parametrize("option", ["type", "pool", "source", "path", ""])
def test_option_that_is_set_otherwise_is_a_usage_error(option: str, host: Host) -> None:
    with pytest.raises(InvalidRequest):
        host.client.attach_volume("default", "data", "/srv", options={option: "x"})


def test_path_is_needed_for_a_file_system_only(host: Host) -> None:
    with pytest.raises(InvalidRequest) as missing:
        host.client.attach_volume("default", "data")
    assert str(missing.value) == "data: a filesystem volume needs the path of its mount point"
    with pytest.raises(InvalidRequest) as needless:
        host.client.attach_volume("default", "disk", "/srv")
    assert str(needless.value) == "disk: a block volume has no path"


def test_device_of_the_host_is_not_detached(host: Host) -> None:
    with pytest.raises(PermissionDenied):
        host.client.detach_volume("root")
    assert host.count("PATCH", "") == 0


def test_unknown_instance_is_not_found(host: Host) -> None:
    with pytest.raises(NotFound) as caught:
        host.client.attach_volume("default", "data", "/srv", instance="other")
    assert caught.value.subject == "other"
    host.client.attach_volume("default", "data", "/srv", instance="web1")


def test_own_name_is_in_the_part_of_the_meta_data_that_the_host_wrote(start_host: StartHost) -> None:
    host = start_host(pools=VOLUMES_OF_CI)
    host.simulator.set({"user.meta-data": "local-hostname: other\n"})
    assert host.client.metadata().count("local-hostname: ") == 2
    host.client.attach_volume("default", "data", "/srv")
    assert instance_name("#cloud-config\ninstance-id: x\nlocal-hostname: a\nlocal-hostname: b\n") == "a"
