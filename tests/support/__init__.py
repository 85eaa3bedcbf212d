"""Helpers of the tests: running the program, servers that send given bytes, terminals."""
