"""The same request with the same libraries and no program around them. `bare.py SOCKET` prints the state."""

import sys
from urllib.parse import quote

import click  # noqa: F401 # devlxdctl imports it too
import requests_unixsocket

with requests_unixsocket.Session() as session:
    url = f"http+unix://{quote(sys.argv[1], safe='')}/1.0"
    sys.stdout.write(session.get(url, timeout=15).text)
