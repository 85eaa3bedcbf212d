"""Storage volumes: the storage API that LXD 6.6 and later offer to guests with a bearer token."""
