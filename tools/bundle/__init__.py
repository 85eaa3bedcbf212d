"""What devlxdctl.pyz has besides the package and its dependencies. These are put at its top."""
