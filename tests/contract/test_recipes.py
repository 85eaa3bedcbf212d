"""The twelve recipes in docs/recipes.md print in guests of real hosts what the document shows."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
import yaml

from tests.hosts import DaemonHost
from tests.hosts.software import default_environment
from tests.readme import EXAMPLES, SOCKET_OPTION, Block, Shell, blocks, files, run, run_script
from tests.support.program import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "recipes.md"
DIRECTORY = "/root/recipes"
KEYS = ("user.domain", "user.port", "user.role")
"""The keys of the guest in examples/guest.yaml that the recipes use."""

NOT_SUPPORTED = """\
devlxdctl: ready: ignored by this host
hint: upgrade LXD on the host: this version does not support readiness
"""
"""What `ready` prints on LXD 5."""


def recipes() -> list[Block]:
    """The console blocks of the twelve tasks, with a task of the document in each."""
    text = DOCUMENT.read_text().partition("\n# More recipes\n")[0]
    assert text.count("\n## ") == 12
    return [block for block in blocks("console", DOCUMENT) if block.text in text]


def test_each_task_is_shown_with_curl_and_with_devlxdctl() -> None:
    _, *tasks = DOCUMENT.read_text().partition("\n# More recipes\n")[0].split("\n## ")
    for task in tasks:
        by_hand = "curl " in task
        ours = [block for block in recipes() if block.text in task and "devlxdctl " in block.text + task]
        assert by_hand and ours, task.splitlines()[0]


@contextmanager
def shell(host: DaemonHost, document: Path) -> Iterator[Shell]:
    """Start bash in the guest. Commands of devlxd-simulator are carried out by the host."""
    for name, content in files(document).items():
        text = content.replace("--unix-socket /dev/lxd/sock", SOCKET_OPTION)
        host.run("sh", "-c", 'cat >"$0"', f"{DIRECTORY}/{name}", stdin=text.encode())
    read_end, write_end = os.pipe()
    os.fchmod(read_end, 0o666)  # root of the guest opens it by name
    env = {**default_environment(0), "DEVLXD_SOCKET": host.socket}
    argv = host.command("bash", f"/proc/self/fd/{read_end}", env=env, cwd=DIRECTORY)
    with (
        os.fdopen(read_end),
        os.fdopen(write_end, "w") as script,
        run_script(argv, script, pass_fds=[read_end]) as (write, read),
    ):

        def write_or_administer(text: str) -> None:
            command, _, rest = text.partition("\n")
            if command.startswith("devlxd-simulator "):
                administer(host, shlex.split(command))
                text = rest
            write(text)

        yield write_or_administer, read


def administer(host: DaemonHost, argv: list[str]) -> None:
    """Do on the host what a command of devlxd-simulator does to a simulated one."""
    match argv[1:]:
        case ["set", *words]:
            host.set(dict(zip(words[::2], words[1::2], strict=True)))
        case ["unset", *keys]:
            host.set(dict.fromkeys(keys))
        case _:
            unknown(argv)


def unknown(argv: list[str]) -> NoReturn:
    raise NotImplementedError(shlex.join(argv))


@pytest.mark.timeout(600)
def test_recipes_print_what_the_document_shows(real_host: DaemonHost) -> None:
    """In one guest, one after the other, each with the keys of the simulated guest in a new directory."""
    config = yaml.safe_load((EXAMPLES / "guest.yaml").read_text())["config"]
    lacks_ready = real_host.version.startswith("5.")
    for block in recipes():
        real_host.reset()
        real_host.set({key: config[key] for key in KEYS})
        real_host.run("sh", "-c", f"rm -rf {DIRECTORY} && mkdir {DIRECTORY}")
        expected = block.text
        if lacks_ready and "report-ready.sh" in expected:
            expected = re.sub(r"(.*report-ready\.sh.*\n)", rf"\g<1>{NOT_SUPPORTED}", expected)
            expected = expected.replace("\nReady\n", "\n\n")
        assert run(block, shell=lambda document: shell(real_host, document)) == expected, str(block)
