import socket

import pytest

from vnclient.errors import PortInUse
from vnclient.local.ports import bound_socket, free_port

LOOPBACK = "127.0.0.1"


def test_a_port_that_was_given_is_nobody_elses_before_anybody_listens() -> None:
    with bound_socket(LOOPBACK, 0) as mine:
        port = mine.getsockname()[1]
        for take in (bound_socket, free_port):
            with pytest.raises(PortInUse, match=f"port {port} on"):
                take(LOOPBACK, port)
        mine.listen()
        with pytest.raises(PortInUse, match=f"port {port} on"):
            bound_socket(LOOPBACK, port)


def test_a_port_that_a_server_has_just_left_can_be_had_again() -> None:
    port = free_port(LOOPBACK, 0)
    with bound_socket(LOOPBACK, port) as first:
        first.listen()
        with socket.create_connection((LOOPBACK, port)):
            taken, _ = first.accept()
            taken.close()  # the server's side closes first, and so has the longer memory
    with bound_socket(LOOPBACK, port) as again:
        assert again.getsockname()[1] == port
