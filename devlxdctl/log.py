"""The library's log, `devlxdctl`: requests as DEBUG, waiting as INFO, what should be known as WARNING."""

from __future__ import annotations

import logging
from typing import Final

log: Final = logging.getLogger("devlxdctl")
