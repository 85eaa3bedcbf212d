"""Tests of names, values, sizes and sources."""

from __future__ import annotations

import json
import urllib.parse

import pytest

from devlxdctl import InvalidRequest, NotFound, is_size
from devlxdctl.volumes.names import VolumeSource, parse_source
from tests.volumes.support import Host

NAMES = [
    *("a b", "a%2Fb", "50%", "ünï☃", "q?x=1", "h#frag", "a+b", 'a"b\\c', "<&>", "a\tb", "a\nb", ";x", "a=b"),
    *("a:b", "-dash", "Foo", "...", "..x", "a" * 200, "😀", "custom", "snapshots", "$(id)", "a'b"),
]
VALUES = [*NAMES, "", "a/b", " ", "a,b", "null", '{"a":1}', "\x7f\x01"]


@pytest.mark.parametrize("name", NAMES)
def test_name_with_any_character_reaches_the_host_unchanged(name: str, host: Host) -> None:
    client = host.client
    assert client.create_volume("default", name).wait()["name"] == name
    assert client.create_volume_snapshot("default", name, name).wait()["name"] == name
    assert [each["name"] for each in client.volume_snapshots("default", name)] == [f"{name}/{name}"]
    assert client.attach_volume("default", name, "/mnt")["source"] == name
    assert client.devices()[name]["pool"] == "default"
    client.detach_volume(name)
    assert client.volume_content_types("default", [name]) == {name: "filesystem"}
    assert name in [each["name"] for each in client.volumes("default")]
    client.delete_volume_snapshot("default", name, name).wait()
    client.delete_volume("default", name).wait()
    with pytest.raises(NotFound):
        client.volume("default", name)
    quoted = urllib.parse.quote(name, safe="")
    assert all(f"/custom/{quoted}" in each.path for each in host.simulator.requests if "custom/" in each.path)


@pytest.mark.parametrize("name", ["-dash", "a b", "ünï☃", "a=b", "$(id)", "a\tb"])
def test_command_line_passes_names_unchanged(name: str, host: Host) -> None:
    done = host.run("-f", "json", "volume", "create", "default", "--description", name, "--", name)
    assert done.status == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["name"], found["description"]) == (name, name)


@pytest.mark.parametrize("value", VALUES)
def test_values_with_any_character_are_kept(value: str, host: Host) -> None:
    config = {"user.a": value, "user." + (value or "x"): "1"}
    volume = host.client.set_volume("default", "data", config=config, description=value).wait()
    assert volume["description"] == value
    assert {key: text for key, text in config.items() if text}.items() <= volume["config"].items()


@pytest.mark.parametrize("name", ["", ".", "..", "\udc80"])
def test_name_that_cannot_be_sent_is_a_usage_error(name: str, host: Host) -> None:
    before = len(host.simulator.requests)
    for call in (
        lambda: host.client.pool(name),
        lambda: host.client.volume("default", name),
        lambda: host.client.create_volume("default", name),
        lambda: host.client.volume_snapshot("default", "data", name),
    ):
        with pytest.raises(InvalidRequest):
            call()
    assert len(host.simulator.requests) == before


def test_text_that_is_not_utf_8_is_a_usage_error(host: Host) -> None:
    for config, description in (({"user.a": "\udc80"}, None), ({"user.\udc80": ""}, None), ({}, "\udc80")):
        with pytest.raises(InvalidRequest):
            host.client.set_volume("default", "data", config=config, description=description)
    with pytest.raises(InvalidRequest):
        host.client.set_volume("default", "data", config={"": "x"})


@pytest.mark.parametrize("size", ["1GiB", "1000MB", "0", "1", "8MiB", "5B", "2kB", "3EiB"])
def test_size_of_lxd_is_accepted(size: str, host: Host) -> None:
    assert is_size(size)
    done = host.run("-f", "json", "volume", "create", "default", "new", "--size", size)
    assert json.loads(done.stdout)["config"]["size"] == size


@pytest.mark.parametrize("size", ["-1", "ten", "", "1 GiB", "1.5GiB", "1gib", "1K", "GiB", "1GiB\n", "٣"])
def test_other_size_is_a_usage_error(size: str, host: Host) -> None:
    assert not is_size(size)
    done = host.run("volume", "create", "default", "new", f"--size={size}")
    assert (done.status, done.stdout) == (2, b"")
    assert b"is not a size, such as 10GiB or 500MB" in done.stderr
    if size:
        with pytest.raises(InvalidRequest):
            host.client.create_volume("default", "new", size=size)
    assert host.simulator.requests == []


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("v", [VolumeSource("p", "v")]),
        ("a/b", [VolumeSource("p", "a", "b"), VolumeSource("a", "b")]),
        ("q/v/s", [VolumeSource("q", "v", "s")]),
        ("/v/s", [VolumeSource("p", "v", "s")]),
        ("q/v/", [VolumeSource("q", "v")]),
    ],
)
def test_source_of_a_copy_is_parsed(text: str, sources: list[VolumeSource]) -> None:
    assert parse_source(text, "p") == sources


@pytest.mark.parametrize("text", ["", "/", "a/", "/a", "//", "a//b", "a/b/c/d", "../v", "./v/s"])
def test_invalid_source_is_a_usage_error(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_source(text, "p")


def test_source_that_can_mean_two_things_is_what_exists(host: Host) -> None:
    client = host.client
    client.create_volume("fast", "elsewhere").wait()
    client.create_volume("default", "copy1", source="data/snap0").wait()
    client.create_volume("default", "copy2", source="fast/elsewhere").wait()
    client.create_volume("fast", "copy3", source="default/data").wait()
    assert [each["name"] for each in client.volume_snapshots("fast", "copy3")] == ["copy3/snap0"]
    assert client.volume_snapshots("default", "copy1") == []
    with pytest.raises(NotFound) as missing:
        client.create_volume("default", "copy4", source="data/none")
    assert str(missing.value) == "data/none: no such volume or snapshot"
    client.create_volume("default", "fast").wait()
    client.create_volume_snapshot("default", "fast", "elsewhere").wait()
    with pytest.raises(InvalidRequest) as ambiguous:
        client.create_volume("default", "copy4", source="fast/elsewhere")
    assert ambiguous.value.hint == "/fast/elsewhere is a snapshot, fast/elsewhere/ is a volume"
    client.create_volume("default", "copy4", source="/fast/elsewhere").wait()
    client.create_volume("default", "copy5", source="fast/elsewhere/").wait()
