"""Choose a TCP port that is free right now, or have it; for `valkey` and `stack`."""

import socket

from vnclient.errors import PortInUse


def free_port(host: str, wanted: int) -> int:
    """Give `wanted` if nobody listens there, or any free port when `wanted` is 0.

    Raises PortInUse. Between this answer and its use another program may take the port: the one who
    listens then must report that as its own error.
    """
    with bound_socket(host, wanted) as probe:
        port: int = probe.getsockname()[1]
        return port


def bound_socket(host: str, wanted: int) -> socket.socket:
    """Have a port, as `free_port` finds it, for a child that will listen on it.

    As long as the socket is open nobody else is given the port. Raises PortInUse.
    """
    # The protocol is named for asyncio, which switches Nagle's algorithm off only then.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if wanted:  # what a server that has just ended left behind is nobody's
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, wanted))
    except OSError as err:
        bound.close()
        raise PortInUse(host, wanted) from err
    return bound
