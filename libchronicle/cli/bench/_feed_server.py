"""The peer of the feed benchmark: sends a file of ready-made WebSocket frames to each client, as fast as it goes."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

__all__ = ["encode_frames", "main"]


def encode_frames(payloads: list[bytes]) -> bytes:
    """Server-side text frames, then a close frame."""
    frames = [Frame(Opcode.TEXT, payload).serialize(mask=False) for payload in payloads]
    return b"".join(frames) + Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=False)


def handshake(client: socket.socket) -> None:
    protocol = ServerProtocol()
    request: Request | None = None
    while request is None:
        protocol.receive_data(client.recv(65536))
        request = next((e for e in protocol.events_received() if isinstance(e, Request)), None)
    protocol.send_response(protocol.accept(request))
    client.sendall(b"".join(protocol.data_to_send()))


def main(file: str, core: str) -> None:
    os.sched_setaffinity(0, {int(core)})
    blob = Path(file).read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            client, _ = listener.accept()
            with client:
                handshake(client)
                client.sendall(blob)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):  # the client's close frame, then its end
                    pass


if __name__ == "__main__":
    main(*sys.argv[1:])
