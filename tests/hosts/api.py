"""The host's own REST API over its unix socket, the same for LXD and Incus."""

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
    """A form of files, piece by piece, and its content type."""
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
    """Requests to one daemon, a connection each: it may have been restarted in between."""

    def __init__(self, path: Path, timeout: float = 30) -> None:
        self._path = str(path)
        self._timeout = timeout

    def send(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """HTTP status and the answer's JSON; OSError or HTTPException where there is no answer.

        body is sent as it is where it is bytes, pieces of such or a file, as JSON otherwise.
        """
        connection = _Connection(self._path, self._timeout)
        try:
            raw = body is None or isinstance(body, (bytes, io.IOBase, Iterator))
            data: Any = body if raw else json.dumps(body).encode()
            connection.request(method, path, data, dict(headers or {}))
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """The answer's metadata; of a background operation, when that is done, its own metadata."""
        try:
            _, answer = self.send(method, path, body, headers)
            if answer["type"] == "async":
                wait = f"{answer['operation']}/wait?timeout={self._timeout - 5:g}"
                _, answer = self.send("GET", wait)
        except (OSError, http.client.HTTPException) as error:
            raise HostError(f"{method} {path}: {error!r}") from error
        if answer["type"] == "error":
            raise HostError(f"{method} {path}: {answer['error']}")
        metadata = answer["metadata"]
        if isinstance(metadata, dict) and metadata.get("class") in ("task", "websocket", "token"):
            if metadata["status"] != "Success":
                raise HostError(f"{method} {path}: {metadata['status']}: {metadata['err']}")
            return metadata["metadata"]
        return metadata
