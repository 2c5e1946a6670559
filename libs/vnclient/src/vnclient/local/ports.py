"""Choose a TCP port that is free right now; for `valkey` and `stack`."""

import socket

from vnclient.errors import PortInUse


def free_port(host: str, wanted: int) -> int:
    """Give `wanted` if nobody listens there, or any free port when `wanted` is 0.

    Raises PortInUse. Between this answer and its use another program may take the port: the one who
    listens then must report that as its own error.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, wanted))
        except OSError as err:
            raise PortInUse(host, wanted) from err
        port: int = probe.getsockname()[1]
        return port
