"""Files of devlxdctl.pyz besides the package and its dependencies, at the top of the archive."""
