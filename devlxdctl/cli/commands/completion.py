"""`completion`: the completion scripts."""

from __future__ import annotations

import click

from devlxdctl.cli.options import Command
from devlxdctl.cli.output.render import Value


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="bash|zsh|fish")
def completion(shell: str) -> Value:
    """Print the completion script for a shell.

    The script completes commands, options, and the keys and devices of this instance.

    \b
    Examples:
      source <(devlxdctl completion bash)
      devlxdctl completion zsh >/usr/local/share/zsh/site-functions/_devlxdctl
      devlxdctl completion fish >~/.config/fish/completions/devlxdctl.fish
    """
    from devlxdctl.cli.completion.shells import SHELLS, script

    text = script(SHELLS[shell], "devlxdctl")
    return Value(text, text)
