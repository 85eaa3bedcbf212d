"""The one file for guests, on what guests have: Debian's releases, and the Pythons of this machine.

Only `make test-guests` runs this: it takes minutes, and gets Debian from the server that this machine uses.
"""
