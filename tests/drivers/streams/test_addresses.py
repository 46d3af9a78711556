"""open_stream: what an address may look like, and what is said about a wrong one."""

from __future__ import annotations

import os
import socket

import pytest

from cimlab.core.errors import ConfigError, LinkClosed
from cimlab.drivers.streams import SerialStream, TcpStream, open_stream


def test_tcp_address_connects() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = open_stream(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        assert isinstance(stream, TcpStream)
        stream.close()


def test_tcp_address_of_ipv6_connects() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        open_stream(f"tcp://[::1]:{server.getsockname()[1]}").close()


@pytest.mark.parametrize("query", ["", "?baud=3000000"])
def test_serial_address_opens_the_device(query: str) -> None:
    master, slave = os.openpty()
    stream = open_stream(f"serial://{os.ttyname(slave)}{query}")
    assert isinstance(stream, SerialStream)
    stream.close()
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("", "tcp:// or serial://"),
        ("/dev/ttyUSB0", "tcp:// or serial://"),
        ("udp://127.0.0.1:7000", "tcp:// or serial://"),
        ("tcp://127.0.0.1", "host and a port"),
        ("tcp://:7000", "host and a port"),
        ("tcp://127.0.0.1:0", "listening only"),
        ("tcp://127.0.0.1:70000", "[Pp]ort"),
        ("tcp://127.0.0.1:seven", "[Pp]ort"),
        ("tcp://127.0.0.1:7000/path", "host and a port only"),
        ("tcp://127.0.0.1:7000?baud=9600", "host and a port only"),
        ("tcp://me@127.0.0.1:7000", "host and a port only"),
        ("serial://", "needs a device"),
        ("serial://?baud=9600", "needs a device"),
        ("serial:///dev/ttyUSB0?boud=9600", "unknown setting 'boud'"),
        ("serial:///dev/ttyUSB0?baud=fast", "whole number, not 'fast'"),
        ("serial:///dev/ttyUSB0?baud=", "whole number, not ''"),
        ("serial:///dev/ttyUSB0?baud=0", "whole number, not '0'"),
        ("serial:///dev/ttyUSB0?baud=-9600", "whole number, not '-9600'"),
    ],
)
def test_wrong_addresses_are_explained(address: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        open_stream(address)
    assert repr(address) in str(caught.value)


def test_nobody_at_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(LinkClosed, match="start the board"):
        open_stream(f"tcp://127.0.0.1:{port}")


def test_no_such_device() -> None:
    with pytest.raises(LinkClosed, match="plugged in"):
        open_stream("serial:///dev/there-is-no-such-port?baud=115200")


def test_a_port_held_elsewhere_is_refused() -> None:
    master, slave = os.openpty()
    first = open_stream(f"serial://{os.ttyname(slave)}")
    with pytest.raises(LinkClosed, match="no other program"):
        open_stream(f"serial://{os.ttyname(slave)}")
    first.close()
    os.close(master)
    os.close(slave)
