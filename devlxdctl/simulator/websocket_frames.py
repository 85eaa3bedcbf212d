"""Websocket frames. A host splits large messages in a way that libraries do not, so they are built here."""

import base64
import hashlib
import struct

CONTINUATION, TEXT, CLOSE, PING, PONG = 0x0, 0x1, 0x8, 0x9, 0xA
_FIN = 0x80
_MASKED = 0x80
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BUFFER = 4096 - 14
"""Room for data in the host's write buffer of 4096 bytes, after the longest frame header."""


def accept_key(key: str) -> str:
    """Return the Sec-WebSocket-Accept for a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """Encode one unmasked frame."""
    first = opcode | (_FIN if fin else 0)
    if len(payload) < 126:
        return struct.pack("!BB", first, len(payload)) + payload
    if len(payload) < 65536:
        return struct.pack("!BBH", first, 126, len(payload)) + payload
    return struct.pack("!BBQ", first, 127, len(payload)) + payload


def message(payload: bytes) -> bytes:
    """Encode one text message as one or two frames.

    A message larger than the buffer is fragmented. Up to twice the buffer's size: a full buffer, then
    the rest. Larger: everything in one frame without FIN, then an empty one (measured on real hosts).
    """
    if len(payload) <= _BUFFER:
        return frame(TEXT, payload)
    split = _BUFFER if len(payload) <= 2 * _BUFFER else len(payload)
    return frame(TEXT, payload[:split], fin=False) + frame(CONTINUATION, payload[split:])


class FrameReader:
    """Decodes the frames of a client from bytes that arrive in pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Add bytes and return opcode and payload of each frame that is now complete."""
        self._buffer += data
        frames = []
        while (parsed := self._next()) is not None:
            frames.append(parsed)
        return frames

    def _next(self) -> tuple[int, bytes] | None:
        buffer, at = self._buffer, 2
        if len(buffer) < at:
            return None
        length = buffer[1] & 0x7F
        if length > 125:
            size, form = (2, "!H") if length == 126 else (8, "!Q")
            if len(buffer) < at + size:
                return None
            (length,) = struct.unpack_from(form, buffer, at)
            at += size
        mask = b"\0\0\0\0"
        if buffer[1] & _MASKED:
            mask = bytes(buffer[at : at + 4])
            at += 4
        if len(buffer) < at + length:
            return None
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(buffer[at : at + length]))
        opcode = buffer[0] & 0x0F
        del buffer[: at + length]
        return opcode, payload
