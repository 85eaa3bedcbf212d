"""The zipapp and the Debian package in guests with Debian releases, and the zipapp on other Pythons.

Only `make test-guests` runs these tests. They take minutes, and need the package server of this machine.
"""
