# The start of devlxdctl.pyz. Any Python must be able to read it, however old: no newer syntax here.
import sys

if sys.version_info < (3, 10):  # noqa: UP036
    version = "%d.%d" % sys.version_info[:2]  # noqa: UP031
    sys.stderr.write("devlxdctl: Python " + version + ": 3.10 or later is required\n")
    sys.exit(1)

# start.py, which an import would compile twice: zipimport does that to learn a module's file name.
source = __loader__.get_source("devlxdctl_start")  # type: ignore[name-defined]
exec(compile(source, "devlxdctl.pyz/devlxdctl_start.py", "exec"))
run()  # type: ignore[name-defined]  # noqa: F821
