"""What makes the files that are derived from the command line, and the one file for guests. Not installed."""
