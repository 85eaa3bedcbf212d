"""What the tool costs, beside what else does the same: `make bench`."""
