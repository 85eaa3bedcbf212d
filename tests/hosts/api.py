"""The main REST API of a host over its Unix socket, the same for LXD and Incus."""

import http.client
import io
import json
import secrets
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from .base import HostError


def multipart(parts: Mapping[str, BinaryIO]) -> tuple[Iterator[bytes], str]:
    """Return a multipart form of files, in pieces, and its content type."""
    boundary = secrets.token_hex(16)

    def pieces() -> Iterator[bytes]:
        for name, data in parts.items():
            disposition = f'Content-Disposition: form-data; name="{name}"; filename="{name}"'
            head = f"--{boundary}\r\n{disposition}\r\nContent-Type: application/octet-stream\r\n\r\n"
            yield head.encode()
            while piece := data.read(1 << 20):
                yield piece
            yield b"\r\n"
        yield f"--{boundary}--\r\n".encode()

    return pieces(), f"multipart/form-data; boundary={boundary}"


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("host", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Api:
    """Sends requests to one daemon. Each has its own connection, since the daemon may have restarted."""

    def __init__(self, path: Path, timeout: float = 30) -> None:
        self._path = str(path)
        self._timeout = timeout

    def send(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Return the HTTP status and the JSON document of the response.

        Sends `body` unchanged if it is bytes, an iterator of bytes or a file, else as JSON. Raises OSError
        or HTTPException without a response.
        """
        connection = _Connection(self._path, self._timeout)
        try:
            is_raw = body is None or isinstance(body, (bytes, io.IOBase, Iterator))
            data: Any = body if is_raw else json.dumps(body).encode()
            connection.request(method, path, data, dict(headers or {}))
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Return the metadata of the response, or of the finished operation if there is one.

        Raises HostError if the request or the operation fails.
        """
        try:
            _, response = self.send(method, path, body, headers)
            if response["type"] == "async":
                wait = f"{response['operation']}/wait?timeout={self._timeout - 5:g}"
                _, response = self.send("GET", wait)
        except (OSError, http.client.HTTPException) as error:
            raise HostError(f"{method} {path}: {error!r}") from error
        if response["type"] == "error":
            raise HostError(f"{method} {path}: {response['error']}")
        metadata = response["metadata"]
        if isinstance(metadata, dict) and metadata.get("class") in ("task", "websocket", "token"):
            if metadata["status"] != "Success":
                raise HostError(f"{method} {path}: {metadata['status']}: {metadata['err']}")
            return metadata["metadata"]
        return metadata
