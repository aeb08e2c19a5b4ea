"""A long description from the web: fetched once from a real server, shown, and an error that says why if it cannot be."""

from __future__ import annotations

import http.server
import ipaddress
import json
import socket
import ssl
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from command_line import KEY
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from patience import PATIENCE

from connectors.cli import main
from connectors.cli.common import fetch
from connectors.cli.common.fetch import fetch_text
from connectors.cli.common.private_files import LIMIT
from connectors.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT = "# Conditions\n\nof *patients*, ä\n  - \u200bone\n"


class Site(http.server.ThreadingHTTPServer):
    """A web server on loopback: what lies at each path, and what was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.over = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.elsewhere = ""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        place = self.path.partition("?")[0].strip("/")
        getattr(self, f"give_{place}", self.give_nothing)()

    def answer(self, data: bytes, code: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        given = {"Content-Type": "text/markdown", "Content-Length": str(len(data)), **(headers or {})}
        for name, value in given.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def give_text(self) -> None:
        self.answer(TEXT.encode())

    def give_longest(self) -> None:
        self.answer(b"x" * LIMIT)

    def give_longer(self) -> None:
        self.answer(b"x" * (LIMIT + 1))

    def give_endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        self._for_ever()

    def give_latin(self) -> None:
        self.answer("ä".encode("latin-1"))

    def give_empty(self) -> None:
        self.answer(b" \n")

    def give_page(self) -> None:
        self.answer(b"<!DOCTYPE html>", headers={"Content-Type": "text/html; charset=utf-8"})

    def give_nothing(self) -> None:
        self.send_error(404)

    def give_moved(self) -> None:
        self.answer(b"", 302, headers={"Location": "/text"})

    def give_away(self) -> None:
        self.answer(b"", 301, headers={"Location": self.server.elsewhere})

    def give_around(self) -> None:
        self.answer(b"", 307, headers={"Location": "/around"})

    def give_long_way(self) -> None:
        self.send_response(302)
        self.send_header("Location", "/text")
        self.end_headers()
        self._for_ever()

    def give_half(self) -> None:
        self.answer(b"half of it", headers={"Content-Length": "20"})

    def give_silence(self) -> None:
        self.server.over.wait(PATIENCE)

    def give_drops(self) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.server.over.wait(0.05):
            self.wfile.write(b"x")

    def give_noise(self) -> None:
        self.wfile.write(b"SSH-2.0-x\r\n\r\n")

    def _for_ever(self) -> None:
        while not self.server.over.is_set():
            self.wfile.write(b"x" * 65536)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Quiet(Site):
    def handle_error(self, *_: object) -> None:
        """Whoever has left, has left."""


@contextmanager
def serving() -> Iterator[Site]:
    with Quiet() as site:
        serve = threading.Thread(target=lambda: site.serve_forever(poll_interval=0.05))
        serve.start()
        try:
            yield site
        finally:
            site.over.set()
            site.shutdown()
            serve.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as made:
        yield made


@pytest.fixture
def certificate(tmp_path) -> Path:
    """A certificate for 127.0.0.1 with its key, which nobody trusts but who is told to."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    file = tmp_path / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return file


@pytest.fixture
def secure(site, certificate) -> Iterator[Site]:
    """A web server with that certificate, which leads away to the other one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving() as made:
        made.socket = context.wrap_socket(made.socket, server_side=True)
        made.url = made.url.replace("http:", "https:")
        made.elsewhere = f"{site.url}/text"
        yield made


def problem(url: str) -> str:
    with pytest.raises(ConfigError) as caught:
        fetch_text(url, "long description")
    assert "5EC2E7" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("place", ["text", "text?token=5EC2E7", "moved", "long_way", "text#top"])
def test_text_comes_as_it_lies_there(site, place):
    assert fetch_text(f"{site.url}/{place}", "long description") == TEXT


def test_no_proxy_sees_what_this_machine_says_to_itself(site, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert fetch_text(f"{site.url}/text", "long description") == TEXT


def test_largest_text_is_taken_and_a_larger_one_is_not(site):
    assert len(fetch_text(f"{site.url}/longest", "long description")) == LIMIT
    for place in ("longer", "endless"):
        assert problem(f"{site.url}/{place}?sig=5EC2E7") == (
            f"the long description '{site.url}/{place}?…' is larger than {LIMIT} bytes"
        )


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nowhere", "cannot be fetched: its server answers 404 (Not Found)"),
        ("latin", "is not UTF-8 text"),
        ("empty", "is empty"),
        ("page", "is a web page (text/html); name a URL of the plain text"),
        ("half", "cannot be fetched: the response is truncated"),
        ("noise", "cannot be fetched: the response is truncated, or is not HTTP"),
        ("around", "cannot be fetched: its server redirects elsewhere, which is not followed; name the final URL"),
    ],
)
def test_what_is_wrong_with_it_is_said(site, place, message):
    assert problem(f"{site.url}/{place}?sig=5EC2E7") == f"the long description '{site.url}/{place}?…' {message}"


@pytest.mark.parametrize(
    "elsewhere",
    ["https://127.0.0.1:9/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://192.0.2.1/x", "data:,x", "//192.0.2.1/x"],
)  # fmt: skip
def test_redirect_to_another_scheme_or_plain_http_host_is_refused(site, elsewhere):
    site.elsewhere = elsewhere
    assert "its server redirects elsewhere" in problem(f"{site.url}/away?sig=5EC2E7")
    assert len(site.asked) == 1


def test_trusted_server_is_fetched_and_its_redirects_are_limited(site, secure, certificate, monkeypatch):
    assert "CERTIFICATE_VERIFY_FAILED" in problem(f"{secure.url}/text?sig=5EC2E7")
    assert secure.asked == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetch_text(f"{secure.url}/moved", "long description") == TEXT
    # It could lead to what only this machine can see, and have that published.
    assert "its server redirects elsewhere" in problem(f"{secure.url}/away?sig=5EC2E7")
    assert site.asked == []


@pytest.mark.parametrize("place", ["silence", "drops"])
def test_a_server_that_hangs_is_not_waited_for(site, monkeypatch, place):
    monkeypatch.setattr(fetch, "TIMEOUT", 0.5)
    assert problem(f"{site.url}/{place}").endswith("cannot be fetched: no complete response within 0.5 seconds")


def test_nobody_there(site):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert "cannot be fetched: Connection refused" in problem(f"http://127.0.0.1:{port}/text?sig=5EC2E7")
    assert "cannot be fetched: " in problem(site.url.replace("http:", "https:"))  # no TLS is spoken there


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://192.0.2.1/about.md?sig=5EC2E7", "use https://"),
        ("http://localhost.example/about.md", "use https://"),
        ("ftp://127.0.0.1/about.md", "use https://"),
        ("file:///etc/passwd", "it needs a host"),
        ("https://me:5EC2E7@x.example/about.md", "and no user name"),
        ("https://x.example:port/about.md", "is not a URL"),
        ("https://[::1/about.md", "is not a URL"),
        ("https://x.example/a b", "is not a URL"),
        ("https://x.example/ä", "is not a URL"),
        ("https://x.example/a\r\nHost: y", "is not a URL"),
        (f"https://{'x' * 70}.example/", "its host name is invalid"),
        ("https:///about.md", "it needs a host"),
    ],
)
def test_what_is_not_asked_for(url, message):
    assert message in problem(url)


@pytest.fixture
def workspace(tmp_path, monkeypatch, capsys) -> Path:
    """The folder of somebody who has an identity and credentials, and works in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONNECTORS_STORE", "store")
    monkeypatch.setenv("CONNECTORS_IDENTITIES", "identities")
    (tmp_path / "credentials.json").write_text(json.dumps({"encryption": {"key": KEY}, "query_string": "c2lnPTEyMw=="}))
    assert main(["identity", "new", "clinic", "--contact", "c", "--unencrypted"]) == 0
    capsys.readouterr()
    return tmp_path


DATASET = (
    *("workflow", "dataset", "Conditions", "--location", "https://clinic.example/c", "--direction", "both"),
    *("--credentials", "credentials.json", "--long-description"),
)


@pytest.mark.usefixtures("workspace")
def test_dataset_has_it_and_it_is_read_once(site, capsys):
    assert main([*DATASET, f"{site.url}/text", "--json"]) == 0
    done = capsys.readouterr()
    assert json.loads(done.out)["long_description"] == TEXT
    assert done.err == ""
    assert main(["workflow", "show", "Conditions"]) == 0
    shown = capsys.readouterr().out.splitlines()
    for line in ("    # Conditions", "    of *patients*, ä", "      - \\u200bone"):
        assert line in shown
    assert site.asked == ["/text"]


def test_nothing_is_kept_where_it_cannot_be_had(site, workspace, capsys):
    before = sorted(workspace.rglob("*"))
    assert main([*DATASET, f"{site.url}/nowhere?sig=5EC2E7"]) == 2
    message = f"the long description '{site.url}/nowhere?…' cannot be fetched: its server answers 404 (Not Found)"
    assert capsys.readouterr() == ("", f"connectors: error: {message}\n")
    assert sorted(workspace.rglob("*")) == before


@pytest.mark.usefixtures("workspace")
def test_who_names_it_is_shown_what_was_read(site, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main([*DATASET, f"{site.url}/text"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "This text is now part of the document, and is not fetched again:",
        *("  # Conditions", "  ", "  of *patients*, ä", "    - \\u200bone"),
    ]
