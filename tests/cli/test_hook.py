"""The command of `config watch --exec`: what does not fit into an environment is left out of it."""

from __future__ import annotations

import pytest

from devlxdctl.cli.hooks import run_hook
from devlxdctl.events.watch import Change


@pytest.mark.parametrize("key", ["user.a\0b", "user." + "k" * 200_000])
def test_a_key_that_no_environment_can_carry(key: str, capfd: pytest.CaptureFixture[str]) -> None:
    script = 'echo "${DEVLXD_KEY-none} $DEVLXD_ACTION $DEVLXD_VALUE"; cat'
    run_hook(["sh", "-c", script], Change(key, "v", None, "added"))
    assert capfd.readouterr() == ("none added v\nv", "")
