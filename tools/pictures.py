"""The pictures of the terminal in docs/pictures, made from runs of the program against the simulator."""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME, TerminalTheme
from rich.text import Text

from devlxdctl.simulator import Simulator
from tests.cli.background import wait_for_read
from tests.support.terminal import program_on_terminal, run_on_terminal

REPOSITORY: Final = Path(__file__).resolve().parent.parent
DIRECTORY: Final = REPOSITORY / "docs" / "pictures"
COLUMNS: Final = 80

DARK: Final = SVG_EXPORT_THEME
LIGHT: Final = TerminalTheme(
    (255, 255, 255),
    (36, 41, 46),
    [
        *((36, 41, 46), (203, 36, 49), (34, 134, 58), (176, 136, 0), (3, 102, 214), (111, 66, 193)),
        *((27, 124, 131), (225, 228, 232)),
    ],
)

GUEST: Final = r"""
config: {user.role: web, user.domain: www.example.com, user.port: "8080", user.motd: "Welcome to web1\n"}
devices:
  root: {type: disk, path: /, pool: default}
  eth0: {type: nic, name: eth0, network: lxdbr0, hwaddr: "00:16:3e:5a:01:9c"}
  site: {type: disk, path: /srv/site, source: /home/ana/site, readonly: "true"}
simulator: {location: host1, tokens: {good: trusted}}
"""
SVG: Final = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""The format of rich without its fonts, which the reader's program would load from another server.

It does not cut the picture below the last line either, which would remove the underscores there.
"""


class Picture(NamedTuple):
    """A picture: the command that is shown, and a function that returns what a run of it prints."""

    command: str
    run: Callable[[Simulator, int], str]


def _plain(*argv: str, **env: str) -> Callable[[Simulator, int], str]:
    """Return a function that runs the program with these arguments."""
    return lambda simulator, columns: (
        run_on_terminal(*argv, socket=simulator.path, columns=columns, env=env).text
    )


def _ready(simulator: Simulator, columns: int) -> str:
    run_on_terminal("ready", socket=simulator.path)
    return run_on_terminal("state", socket=simulator.path, columns=columns).text


def _watch(simulator: Simulator, columns: int) -> str:
    with ThreadPoolExecutor(1) as pool:
        argv = ["config", "watch", "user.[dpr]*", "--count", "3"]
        with wait_for_read(simulator, "user.role"):  # the last one that is read at first
            watching = pool.submit(run_on_terminal, *argv, socket=simulator.path, columns=columns)
        with wait_for_read(simulator, "user.role"):
            simulator.set({"user.role": "db"})
        with wait_for_read(simulator, "user.deploy"):
            simulator.set({"user.deploy": "go"})
        simulator.unset("user.port")
        return watching.result(60).text


_PROGRESS: Final = """
import itertools, time
seconds = itertools.count(100, 0.06)
time.monotonic = lambda: next(seconds)
from devlxdctl.cli.output.progress import progress_bar
with progress_bar(quiet=False) as show:
    for done in range(0, 270, 10):
        show(done * 10**6, 415 * 10**6)
"""
"""The bar of an export with a clock of its own, since speed and remaining time differ from run to run."""


def _progress(simulator: Simulator, columns: int) -> str:
    text = program_on_terminal([sys.executable, "-c", _PROGRESS], columns=columns).text
    frames = [line for line in re.split(r"[\r\n]|\x1b\[2K|\x1b\[\?25[lh]|\x1b\[1A", text) if "MB" in line]
    return frames[-1] + "\n"


PICTURES: Final = {
    "help": Picture("devlxdctl --help", _plain("--help")),
    "state": Picture("devlxdctl state", _ready),
    "config": Picture("devlxdctl config ls -l", _plain("config", "ls", "-l")),
    "devices": Picture("devlxdctl devices", _plain("devices")),
    "json": Picture("devlxdctl -f json devices root", _plain("-f", "json", "devices", "root")),
    "doctor": Picture("devlxdctl doctor", _plain("doctor", DEVLXD_BEARER_TOKEN="expired")),
    "watch": Picture("devlxdctl config watch 'user.[dpr]*'", _watch),
    "error": Picture("devlxdctl config get user.rol", _plain("config", "get", "user.rol")),
    "progress": Picture('devlxdctl image export "$fingerprint"', _progress),
}


def draw(name: str, columns: int = COLUMNS, theme: TerminalTheme = DARK) -> str:
    """Run the command of a picture, and return the picture as SVG."""
    picture = PICTURES[name]
    with tempfile.TemporaryDirectory(prefix="dx") as directory:
        (Path(directory) / "lxd").mkdir()
        guest = Path(directory) / "guest.yaml"
        guest.write_text(GUEST)
        with Simulator(Path(directory) / "lxd" / "sock", guest, "lxd-6") as simulator:
            text = picture.run(simulator, columns)
    text = text.replace(f"{directory}/lxd", "/dev/lxd").replace(f"uid {os.geteuid()}", "uid 0")
    console = Console(
        record=True, width=columns, file=io.StringIO(), force_terminal=True, color_system="standard"
    )
    console.print(Text("$ ", "dim") + Text(picture.command))
    for line in text.rstrip("\n").split("\n"):
        console.print(Text.from_ansi(line.rstrip()), overflow="fold", soft_wrap=False)
    return console.export_svg(title="", theme=theme, code_format=SVG, unique_id=f"picture-{name}")


def main() -> None:
    """Draw all pictures."""
    DIRECTORY.mkdir(exist_ok=True)
    for name in PICTURES:
        (DIRECTORY / f"{name}.svg").write_text(draw(name))


if __name__ == "__main__":
    main()
