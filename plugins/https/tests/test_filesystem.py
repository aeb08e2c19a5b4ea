"""The filesystem of one object, used through fsspec and directly."""

from __future__ import annotations

import ipaddress
import os
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from connectors.errors import (
    AccessDenied,
    CredentialsExpired,
    NotSupported,
    ObjectNotFound,
    StorageUnavailable,
)
from connectors.formats import select
from connectors.streams import SealedWriter, Sink, Source, buffered
from connectors_https import HttpsBackend, HttpsCredentials, PresignedFileSystem
from connectors_https.location import Place

DATA = os.urandom(200_000)


@pytest.fixture
def fs(origin):
    origin.serve(DATA)
    return origin.fs("sig=0")


def test_it_opens_sources_and_sinks(fs):
    source, sink = fs.open_source(fs.path), fs.open_sink(fs.path)
    assert isinstance(source, Source)
    assert isinstance(sink, Sink)
    sink.discard()


def test_info_is_what_the_server_says(fs):
    assert fs.info(fs.path) == {
        "name": fs.path,
        "type": "file",
        "size": len(DATA),
        "ETag": '"v1"',
        "LastModified": "Fri, 02 Jan 2026 03:04:05 GMT",
    }
    assert fs.modified(fs.path) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert fs.isfile(fs.path)
    assert not fs.isdir(fs.path)


def test_a_missing_last_modified_is_not_requested_twice(origin, fs):
    origin.serve(DATA, **{"Last-Modified": ""})
    with pytest.raises(NotSupported, match="does not say when"):
        fs.modified(fs.path)


def test_it_lists_itself(fs):
    assert fs.ls(fs.path, detail=False) == [fs.path]
    assert fs.ls(fs.path)[0]["size"] == len(DATA)
    assert fs.find(fs.path) == [fs.path]


@pytest.mark.parametrize("call", ["info", "ls", "open_source", "open_sink", "open", "cat_file", "modified"])
def test_other_paths_are_not_found(fs, origin, call):
    with pytest.raises(ObjectNotFound, match="nothing else"):
        getattr(fs, call)(fs.path + "/more")
    assert origin.requests == []


def test_exists_is_false_only_if_the_object_is_missing(fs, origin, reply):
    assert fs.exists(fs.path)
    assert not fs.exists(fs.path + "/more")
    origin.answer = lambda _: reply(404)
    assert not fs.exists(fs.path)
    origin.answer = lambda _: reply(403)
    with pytest.raises(AccessDenied):
        fs.exists(fs.path)
    origin.answer = lambda _: reply(500)
    with pytest.raises(StorageUnavailable):
        fs.exists(fs.path)


@pytest.mark.parametrize(
    "refused",
    [
        lambda fs: fs.rm(fs.path),
        lambda fs: fs.rm_file(fs.path),
        lambda fs: fs.delete(fs.path),
        lambda fs: fs.cp_file(fs.path, fs.path + "2"),
        lambda fs: fs.mv(fs.path, fs.path + "2"),
        lambda fs: fs.created(fs.path),
        lambda fs: fs.open(fs.path, "ab"),
        lambda fs: fs.open(fs.path, "r+b"),
    ],
    ids=["rm", "rm_file", "delete", "cp_file", "mv", "created", "append", "update"],
)
def test_unsupported_operations_are_refused(fs, origin, refused):
    with pytest.raises(NotSupported):
        refused(fs)
    assert {request.method for request in origin.requests} <= {"GET"}


def test_fsspec_accepts_lists_of_paths(fs):
    assert fs.cat([fs.path]) == {fs.path: DATA}
    assert fs.cat_ranges([fs.path, fs.path], [0, 5], [5, 9]) == [DATA[:5], DATA[5:9]]


def test_a_transaction_commits_at_its_end(fs, origin, reply):
    origin.answer = lambda _: reply(200)
    with fs.transaction:
        with fs.open(fs.path, "wb") as file:
            file.write(DATA)
        assert origin.requests == []
    assert [request.body for request in origin.requests] == [DATA]


def test_fsspec_reads_files(fs, tmp_path):
    with fs.open(fs.path) as file:
        assert file.read(10) == DATA[:10]
        file.seek(-10, os.SEEK_END)
        assert file.read() == DATA[-10:]
    assert fs.cat_file(fs.path, 5, 50) == DATA[5:50]
    fs.get_file(fs.path, str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == DATA


def test_fsspec_writes_a_file_only_if_it_is_closed_without_an_error(fs, origin, reply):
    origin.answer = lambda _: reply(200)
    with fs.open(fs.path, "wb") as file:
        file.write(DATA)
    fs.pipe_file(fs.path, b"again")
    assert [request.body for request in origin.requests] == [DATA, b"again"]

    def fail():
        with fs.open(fs.path, "wb") as file:
            file.write(DATA)
            message = "the job failed"
            raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="the job failed"):
        fail()
    assert len(origin.requests) == 2


def test_an_expired_query_is_detected_before_any_request(origin):
    fs = origin.fs("sv=2024-11-04&se=2020-01-02&sig=0")
    assert fs.expires_at == datetime(2020, 1, 2, tzinfo=UTC)
    with pytest.raises(CredentialsExpired, match=r"expired at 2020-01-02 00:00:00 UTC.*Dataset\.refresh\(\)"):
        fs.open_source(fs.path)
    assert origin.connections == 0


def test_a_query_that_expires_while_it_is_used_is_detected(origin, monkeypatch):
    origin.serve(DATA)
    ends = datetime.now(UTC) + timedelta(hours=1)
    fs = origin.fs(f"sv=2024-11-04&se={ends:%Y-%m-%dT%H:%M:%SZ}&sig=0")
    source = fs.open_source(fs.path)
    source.read_range(0, 10)
    later = ends.timestamp()
    monkeypatch.setattr("connectors.storage.signing.time.time", lambda: later + 200)  # within the allowed clock skew
    assert source.read_range(10, 20) == DATA[10:20]
    monkeypatch.setattr("connectors.storage.signing.time.time", lambda: later + 400)
    with pytest.raises(CredentialsExpired):
        source.read_range(20, 30)
    assert len(origin.requests) == 2


@pytest.mark.parametrize("size", [0, 1, 16_384, 200_000])
@pytest.mark.parametrize("format_name", ["cobblestone-256", "tink-gcm-hkdf"])
def test_sealed_objects_round_trip(origin, reply, size, format_name):
    stored = {}

    def answer(request):
        if request.method == "PUT":
            stored["object"] = request.body
            return reply(201)
        data = stored["object"]
        start, stop = request.span(len(data))
        content_range = f"bytes {start}-{stop - 1}/{len(data)}"
        return reply(206, data[start:stop], {"Content-Range": content_range})

    origin.answer = answer
    fs = origin.fs("sig=0")
    codec = select(format_name, os.urandom(32))
    with SealedWriter(fs.open_sink(fs.path), codec) as writer:
        writer.write(DATA[:size])
    assert DATA[:size] not in stored["object"] or size < 2
    with buffered(fs.open_source(fs.path), codec) as reader:
        assert reader.read() == DATA[:size]
        reader.seek(size // 2)
        assert reader.read(100) == DATA[size // 2 : size][:100]


def test_sealed_objects_are_read_from_servers_without_ranges(origin, reply):
    codec = select("cobblestone-256", os.urandom(32))
    bodies = []
    origin.answer = lambda request: bodies.append(request.body) or reply(201)
    fs = origin.fs()
    with SealedWriter(fs.open_sink(fs.path), codec) as writer:
        writer.write(DATA)
    origin.answer = lambda _: reply(200, bodies[0])
    with buffered(fs.open_source(fs.path), codec) as reader:
        assert reader.read() == DATA


def test_closing_it_closes_its_connections(fs, origin):
    fs.info(fs.path)
    fs.close()
    fs.close()
    assert fs.size(fs.path) == len(DATA)
    assert origin.connections == 2
    fs.close()


def certified(tmp_path, name):
    """Return a server's TLS context for `name`, and the file with the certificate of its authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "clinic")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority, chain = tmp_path / "authority.pem", tmp_path / "chain.pem"
    authority.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(secret + authority.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return context, authority


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


def test_tls_with_a_known_authority_sends_the_query(tls_origin, tmp_path, monkeypatch):
    context, authority = certified(tmp_path, LOOPBACK)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    origin = tls_origin(context)
    origin.serve(DATA)
    credentials = HttpsCredentials(query_string="c2lnPWElMmZi", encryption=None)
    fs, path = HttpsBackend().connect(f"https://127.0.0.1:{origin.port}/clinic/conditions", credentials)
    assert fs.cat_file(path) == DATA
    fs.pipe_file(path, b"sealed")
    assert origin.lines[0] == "GET /clinic/conditions?sig=a%2fb HTTP/1.1"
    assert origin.requests[-1].body == b"sealed"
    assert origin.connections == 1
    assert not (tmp_path / "keys.log").exists()
    fs.close()


@pytest.mark.parametrize("known", [True, False])
def test_tls_with_an_untrusted_server_sends_nothing(tls_origin, tmp_path, monkeypatch, quick, known):
    name = x509.DNSName("other.example") if known else LOOPBACK
    context, authority = certified(tmp_path, name)
    if known:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    origin = tls_origin(context)
    fs = PresignedFileSystem(Place.of(f"https://127.0.0.1:{origin.port}/clinic/conditions"), None, quick)
    with pytest.raises(
        StorageUnavailable, match=r"the TLS certificate of 127\.0\.0\.1:[0-9]+.* cannot be verified: "
    ) as caught:
        fs.info(fs.path)
    assert caught.value.__context__ is None
    assert origin.connections == 2  # the second one looks whose certificate it is, and sends nothing
    assert origin.requests == []
