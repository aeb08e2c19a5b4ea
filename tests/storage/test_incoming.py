"""Heads of responses: what is accepted, and what is refused because its end would not be certain."""

from __future__ import annotations

import http.client
import socket
import struct
import threading

import pytest

from connectors.storage.http.connection import Connection
from connectors.storage.http.incoming import MAX_RESPONSE_HEADS, Incoming, IncomingResponse

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def line():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        yield ours, theirs


def respond(line, data, *, method="GET"):
    """Return the response that a server's bytes are, after which it closes."""
    ours, theirs = line
    theirs.sendall(data)
    theirs.shutdown(socket.SHUT_WR)
    response = IncomingResponse(Incoming(ours), 0, method)
    response.begin()
    return response


@pytest.mark.parametrize(
    ("data", "body", "is_last"),
    [
        (OK + b"Content-Length: 3\r\n\r\nabc", b"abc", False),
        (OK + b"content-length:3\r\nCONTENT-LENGTH: 3\t \r\n\r\nabc", b"abc", False),
        (OK + b"Content-Length: 3\r\nConnection: close\r\n\r\nabc", b"abc", True),
        (OK + b"Content-Length: 0\r\n\r\n", b"", False),
        (OK + b"Content-Length: 3\r\nConnection: keep-alive\r\nConnection: close\r\n\r\nabc", b"abc", True),
        (OK + b"Connection: keep-alive\r\n\r\nto its end", b"to its end", True),
        (OK + b"Transfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: 1\r\n\r\n", b"abcde", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc", True),
        (b"HTTP/1.0 200\r\nContent-Length: 3\r\nConnection: Keep-Alive\r\n\r\nabc", b"abc", False),
        (b"HTTP/1.1 206 \xe9\nContent-Length: 1\n\nx", b"x", False),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + OK + b"Content-Length: 1\r\n\r\nx", b"x", False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", False),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b"", False),
    ],
)
def test_the_end_of_a_body_is_known(line, data, body, is_last):
    response = respond(line, data)
    came = bytearray(100)
    assert bytes(came[: response.readinto(came)]) == body
    assert response.readinto(came) == 0
    assert response.is_last is is_last
    response.close()


@pytest.mark.parametrize(
    "body",
    [
        b"-5\r\nabcde\r\n0\r\n\r\n",
        b"-ffffffff\r\n\r\n" * 9,
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b"1_0\r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabcXX0\r\n\r\n",
        b"3\r\nabc\r\n",
        b"3\r\nab",
        b"3\r\nabc\r\n0\r\n",
        b"3\r\nabc\r\n0\r\n" + b"X: 1\r\n" * 200 + b"\r\n",
        b"3;" + b"x" * 5000 + b"\r\nabc\r\n0\r\n\r\n",
        b"",
    ],
    ids=lambda data: repr(data[:40]),
)
def test_chunks_that_are_not_certain_are_refused(line, body):
    response = respond(line, OK + b"Transfer-Encoding: chunked\r\n\r\n" + body)
    with pytest.raises(http.client.HTTPException):
        response.readinto(bytearray(100))
    assert not response.is_whole
    response.close()


def test_a_body_that_breaks_off_is_not_whole(line):
    response = respond(line, OK + b"Content-Length: 9\r\n\r\nabc")
    assert response.readinto(bytearray(100)) == 3
    assert not response.is_whole


def test_a_body_without_a_length_ends_only_when_the_server_closes(line):
    response = respond(line, OK + b"\r\nabc")
    assert response.readinto(bytearray(2)) == 2
    assert not response.is_whole
    assert response.readinto(bytearray(2)) == 1
    assert response.is_whole


def test_a_reset_is_not_the_end_of_a_body_without_a_length():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname(), timeout=10)
        theirs, _ = listener.accept()
        with ours:
            theirs.sendall(OK + b"\r\nabc")
            response = IncomingResponse(Incoming(ours))
            response.begin()
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            theirs.close()
            with pytest.raises(ConnectionResetError):
                response.readinto(bytearray(100))
            assert not response.is_whole


def test_a_head_costs_no_more_than_its_length(line):
    """A line of spaces took half a minute once: its pattern tried every place at which its value could end."""
    ours, theirs = line
    head = OK + b"X: a" + b" " * 60_000 + b"a\r\nContent-Length: 0\r\n\r\n"
    threading.Thread(target=theirs.sendall, args=(head,)).start()
    response = IncomingResponse(Incoming(ours))
    response.begin()
    assert len(response.headers["x"]) == 60_002


def test_a_response_to_head_has_no_body(line):
    response = respond(line, OK + b"Content-Length: 7\r\nETag: \xfc\r\n\r\n", method="HEAD")
    assert response.readinto(bytearray(9)) == 0
    assert response.headers.get("content-length") == "7"
    assert response.headers.get("ETag") == "ü"
    assert response.headers.get("Missing", "none") == "none"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"\x16\x03\x01 TLS\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_RESPONSE_HEADS + 1),
        OK + b"Content-Length: 3",
        OK + b"Content-Length: 3\r\n",
        OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        OK + b"Content-Length: 3, 3\r\n\r\nabc",
        OK + b"Content-Length: +3\r\n\r\nabc",
        OK + b"Content-Length: \xb3\r\n\r\nabc",
        OK + b"Content-Length:\r\n\r\nabc",
        OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
        OK + b"Content-Length : 3\r\n\r\nabc",
        OK + b"X: 1\r\n folded\r\nContent-Length: 3\r\n\r\nabc",
        OK + b"no header\r\n\r\nabc",
        OK + b": none\r\n\r\nabc",
        OK + b"X: a\rContent-Length: 3\r\n\r\nabc",
        OK + b"X: a\0b\r\n\r\nabc",
        OK + b"X: " + b"a" * (1 << 16) + b"\r\n\r\n",
        OK + b"X: 1\r\n" * 200 + b"\r\n",
    ],
    ids=lambda data: repr(data[:60]),
)
def test_a_head_that_is_not_certain_is_refused(line, data):
    with pytest.raises(http.client.HTTPException) as caught:
        respond(line, data)
    assert not any(word in str(caught.value) for word in ("folded", "identity", "Switching"))


def test_responses_follow_each_other_on_one_connection():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection(*listener.getsockname(), timeout=10)
        connection.connect()
        server, _ = listener.accept()
        with server:
            for number in range(3):
                server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n%05d" % number)
                response = connection.transmit("GET", "/", [("Host", "x")], None)
                came = bytearray(9)
                assert response.readinto(came) == 5
                assert int(came[:5]) == number
                response.close()
                assert not connection.has_surplus
            server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n")
            response = connection.transmit("GET", "/", [("Host", "x")], None)
            assert response.readinto(bytearray(9)) == 1
            response.close()
            assert connection.has_surplus
            connection.close()
            while server.recv(1 << 16):  # the requests, and then the end: nothing holds the socket open
                pass
