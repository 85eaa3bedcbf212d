# The start of devlxdctl.pyz, read by any Python, however old: no newer syntax here.
import sys

if sys.version_info < (3, 10):  # noqa: UP036
    version = "%d.%d" % sys.version_info[:2]  # noqa: UP031
    sys.stderr.write("devlxdctl: it needs Python 3.10 or later, and this is " + version + "\n")
    sys.exit(1)

from devlxdctl_start import run  # type: ignore[import-not-found]  # start.py, beside it in there

run()
