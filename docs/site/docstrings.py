"""An extension of griffe: examples in docstrings, which begin with `>>>`, become code blocks."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_EXAMPLE = re.compile(r"^(?:>>> .*\n?(?:\.\.\. .*\n?)*)+", re.MULTILINE)


class Examples(Extension):
    """Without it, Markdown would show the examples as quotations."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = _EXAMPLE.sub(
                lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", obj.docstring.value
            )
