"""`hooks`: the environment of a command that runs after a change."""

from __future__ import annotations

import pytest

from devlxdctl import Change
from devlxdctl.cli.hooks import run_hook


@pytest.mark.parametrize("key", ["user.a\0b", "user." + "k" * 200_000])
def test_key_that_no_environment_can_hold_is_left_out_of_it(
    key: str, capfd: pytest.CaptureFixture[str]
) -> None:
    script = 'echo "${DEVLXD_KEY-unset} $DEVLXD_ACTION $DEVLXD_VALUE"; cat'
    run_hook(["sh", "-c", script], Change(key, "v", None, "added"))
    assert capfd.readouterr() == ("unset added v\nv", "")
