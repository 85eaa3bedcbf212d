"""Write the program and its pinned dependencies into a directory: what devlxdctl.pyz carries, as files."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tools import zipapp


def main() -> None:
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as site:
        zipapp.dependencies(Path(site))
        for name, data in zipapp.contents(Path(site)).items():
            # The start of the archive is not needed, and the licences are in debian/copyright.
            if name == "devlxdctl_start.py" or "licen" in name.lower():
                continue
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


if __name__ == "__main__":
    main()
