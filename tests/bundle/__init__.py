"""Tests of devlxdctl.pyz: its contents, its cache of compiled modules, and attacks on that cache."""
