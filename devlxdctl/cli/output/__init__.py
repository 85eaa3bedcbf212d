"""From what commands return to bytes on stdout and stderr."""
