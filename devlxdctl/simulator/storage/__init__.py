"""The storage API of LXD 6 for guests with a trusted bearer token.

`model` has the objects, `guest_file` reads them from a guest file, `api` responds to requests.
"""
