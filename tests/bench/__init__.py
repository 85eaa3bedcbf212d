"""Measures what devlxdctl costs beside other programs for the same task: `make bench`."""
