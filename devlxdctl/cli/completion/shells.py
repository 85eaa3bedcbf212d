"""Completion in bash, zsh and fish: the script that a shell loads once, and its completions at each TAB.

These are completion classes for Click. Click's own scripts cannot handle all config keys: bash would split a
key at a colon, expand one with a star, and insert one with a space as two words. So each script here passes
the line up to the cursor, Python splits it, and the completions are quoted as that shell needs it. All
scripts discard stderr.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

from devlxdctl.cli.output.stdio import CONTROL_CHARACTERS

if TYPE_CHECKING:
    Item = CompletionItem[str]

_BASH = """\
# Completion of %(prog_name)s in bash.
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            plain) COMPREPLY+=("$value") ;;
            file) compopt -o default ;;
            dir) compopt -o dirnames ;;
        esac
    done < <(COMP_WORDS="${COMP_LINE:0:COMP_POINT}" COMP_CWORD="$2" %(complete_var)s=bash_complete \\
        "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH = """\
#compdef %(prog_name)s
# Completion of %(prog_name)s in zsh.
_%(prog_name)s() {
    local type value help
    local -a plain described
    while IFS= read -r type && IFS= read -r value && IFS= read -r help; do
        case $type in
            plain) if [[ $help == _ ]]; then plain+=("$value"); else described+=("$value:$help"); fi ;;
            file) _files ;;
            dir) _files -/ ;;
        esac
    done < <(COMP_WORDS="${words[1,CURRENT-1]} $IPREFIX$QIPREFIX$PREFIX" %(complete_var)s=zsh_complete \\
        "${(Q)words[1]}" 2>/dev/null)
    (( $#described )) && _describe -V %(prog_name)s described
    (( $#plain )) && compadd -V %(prog_name)s -a plain
}
# Called as the function that this file is for, it becomes that function. Read by a shell, it registers it.
if [[ $funcstack[1] == _%(prog_name)s ]]; then
    _%(prog_name)s "$@"
else
    compdef _%(prog_name)s %(prog_name)s
fi
"""

_FISH = """\
# Completion of %(prog_name)s in fish.
function %(complete_func)s
    set -l words (commandline -opc)
    set -l line (commandline -cp | string collect)
    for reply in (env COMP_WORDS=$line %(complete_var)s=fish_complete $words[1] 2>/dev/null)
        set -l parts (string split -m 1 , -- $reply)
        switch $parts[1]
            case plain
                printf '%%s\\n' $parts[2]
            case file
                __fish_complete_path $parts[2]
            case dir
                __fish_complete_directories $parts[2]
        end
    end
end
complete --command %(prog_name)s --no-files --keep-order --arguments '(%(complete_func)s)'
"""

_SPECIAL = re.compile(r"[^\w%+,./:=@^-]")


class Word(NamedTuple):
    """The word before the cursor: its text, how it was typed, and the quote that is still open in it."""

    text: str
    typed: str
    quote: str


def split(line: str) -> tuple[list[str], Word]:
    """Return the words of `line`, split as POSIX shells do it, and the word that is being typed."""
    words: list[str] = []
    text, start, quote = "", None, ""
    position = 0
    while position < len(line):
        character = line[position]
        following = line[position + 1 : position + 2]
        if not quote and character in " \t\n":
            if start is not None:
                words.append(text)
                text, start = "", None
            position += 1
            continue
        if start is None:
            start = position
        if character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        elif character == "\\" and (not quote or (quote == '"' and following in '$`"\\')):
            text += following
            position += 1
        else:
            text += character
        position += 1
    return words, Word(text, line[start:] if start is not None else "", quote)


class _Line(ShellComplete):
    """What the three shells share: the line is split here, and control characters are not completed."""

    def get_completion_args(self) -> tuple[list[str], str]:
        words, self._word = split(os.environ.get("COMP_WORDS", ""))
        return words[1:], self._word.text

    def get_completions(self, args: list[str], incomplete: str) -> list[Item]:
        # A value joined to its option: Click completes the value alone, but shells replace the whole word.
        name, joined, _ = incomplete.partition("=")
        before = name + joined if joined and name.startswith("--") and "--" not in args else ""
        found = []
        for item in super().get_completions(args, incomplete):
            # Commands would read a value that begins with a dash as an option.
            unsafe = not incomplete and item.value.startswith("-")
            if item.type != "plain":
                found.append(item)
            elif not unsafe and not re.search(CONTROL_CHARACTERS, item.value):
                found.append(CompletionItem(before + item.value, item.type, item.help))
        return found

    def complete(self) -> str:
        args, incomplete = self.get_completion_args()
        lines = (self.format_completion(item) for item in self.get_completions(args, incomplete))
        return "\n".join(line for line in lines if line)


class Bash(_Line, BashComplete):
    """bash inserts completions unchanged, in place of the text after its last word break."""

    source_template = _BASH

    def source(self) -> str:
        return ShellComplete.source(self)  # Click's method runs bash to get its version

    def format_completion(self, item: Item) -> str:
        if item.type != "plain":
            return f"{item.type},{item.value}"
        value, quote = item.value, self._word.quote
        if quote == "'":
            quoted = "" if "'" in value else value
        elif quote == '"':
            quoted = "" if re.search(r'["$`\\!]', value) else value
        else:
            quoted = _SPECIAL.sub(r"\\\g<0>", value)
        word = self._word.typed
        if quote and word.startswith(quote):
            word = word[1:]
        # The word as bash sees it: a colon or an equals sign begins a new one.
        tail = os.environ.get("COMP_CWORD", "")
        standing = word[: len(word) - len(tail)] if word.endswith(tail) else ""
        if not quoted.startswith(standing):
            return ""
        return f"plain,{quoted[len(standing) :]}"


class Zsh(_Line, ZshComplete):
    """zsh quotes completions itself, and separates a value from its help at the first unescaped colon."""

    source_template = _ZSH

    def format_completion(self, item: Item) -> str:
        value = item.value
        if item.help:
            value = value.replace("\\", r"\\").replace(":", r"\:")
        return f"{item.type}\n{value}\n{' '.join((item.help or '_').split())}"


class Fish(_Line, FishComplete):
    """fish quotes completions itself, and separates a value from its help at a tab."""

    source_template = _FISH

    def format_completion(self, item: Item) -> str:
        help_ = f"\t{' '.join(item.help.split())}" if item.help else ""
        return f"{item.type},{item.value}{help_ if item.type == 'plain' else ''}"


SHELLS: Final[dict[str, type[ShellComplete]]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}

for shell in SHELLS.values():
    add_completion_class(shell)


def script(shell: type[ShellComplete], program: str) -> str:
    """Return the completion script of `program` for one shell."""
    import click

    variable = f"_{program.replace('-', '_')}_COMPLETE".upper()
    return shell(click.Command(program), {}, program, variable).source()
