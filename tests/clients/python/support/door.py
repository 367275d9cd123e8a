"""An address of its own in front of a broker, which another broker may take over."""

from __future__ import annotations

import socket
import threading


class Door:
    """Carries what comes to `address` to the broker at `behind`, and back."""

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return  # Closed.
            host, port = self.behind.rsplit(":", 1)
            try:
                far = socket.create_connection((host, int(port)))
            except OSError:
                near.close()  # A broker that is away is a connection that ends.
                continue
            for source, target in [(near, far), (far, near)]:
                threading.Thread(target=_carry, args=(source, target), daemon=True).start()

    def close(self) -> None:
        self.listener.close()


def _carry(source: socket.socket, target: socket.socket) -> None:
    try:
        while some := source.recv(65536):
            target.sendall(some)
    except OSError:
        pass  # Either side may break: then both end.
    for one in (source, target):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
