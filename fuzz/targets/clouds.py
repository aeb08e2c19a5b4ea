"""Responses of S3, Azure and SFTP servers, parsed by our plugins and, of S3, by Amazon's own library.

The first byte chooses the request. The rest is HTTP responses, or packets of an SFTP server, separated by `NEXT`.
"""

from __future__ import annotations

import contextlib
import functools
import struct
from typing import TYPE_CHECKING, Any

from connectors.formats import Plain
from connectors.fs.encrypted import EncryptedFileSystem
from connectors.storage import RetryPolicy
from connectors_azure.account import account_of
from connectors_azure.credentials import AzureCredentials
from connectors_azure.filesystem import AzureFileSystem
from connectors_azure.location import LOCATION
from connectors_s3.credentials import S3Credentials
from connectors_s3.filesystem import S3
from connectors_sftp.credentials import SFTPCredentials
from connectors_sftp.filesystem import SFTP
from connectors_sftp.location import Endpoint
from fuzz.checks import MARK, attempt, hold
from fuzz.targets.responses import NEXT, START, STOP, response
from fuzz.wire import ScriptedSessions, replace, responding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["REQUESTS", "WORDS", "check", "seeds"]

WORDS = (
    *(b"HTTP/1.1 ", b"200", b"202", b"206", b"301", b"403", b"404", b"409", b"412", b"416", b"503", b"\r\n", NEXT),
    *(b"Content-Length: ", b"Content-Range: bytes ", b"ETag: ", b"Last-Modified: ", b"Location: ", b"Date: "),
    *(b"x-ms-error-code: ", b"x-ms-blob-type: ", b"x-ms-meta-hdi_isfolder: true", b"x-ms-copy-status: ", b"<Error>"),
    *(b"x-amz-version-id: ", b"x-amz-bucket-region: ", b"<Code>", b"</Code>", b"<Contents>", b"</Contents>", b"<Key>"),
    *(b"</Key>", b"<Size>", b"</Size>", b"<Prefix>", b"<CommonPrefixes>", b"<NextContinuationToken>", b"<IsTruncated>"),
    *(b"<Blob>", b"</Blob>", b"<Name>", b"</Name>", b'<Name Encoded="true">', b"<Properties>", b"<Metadata>"),
    *(b"<BlobPrefix>", b"<NextMarker>", b"<Deleted>", b"true", b"false", b"-1", b"99999999999999999999", b"&#0;"),
    *(b"\x65\x00\x00\x00", b"\x66", b"\x67", b"\x68\x00\x00\x00\x01", b"\x69\x00\x00\x00", b"\xff\xff\xff\xff"),
)
"""Words that the fuzzer inserts, besides bytes."""


@functools.cache
def _s3() -> S3:
    # It caches no listings, nor anything else, so one instance is enough.
    credentials = S3Credentials(
        access_key_id="AKIA", secret_access_key=MARK, endpoint_url="http://127.0.0.1:9", encryption=None
    )
    fs = S3(credentials)
    fs.store.attempts, fs.store.first_pause = 2, 0
    return fs


@functools.cache
def _azure() -> AzureFileSystem:
    credentials = AzureCredentials(
        account_name="clinic", account_key="aHVudGVyMg==", endpoint_url="http://127.0.0.1:9/clinic", encryption=None
    )
    return AzureFileSystem(account_of(credentials, LOCATION.parse("az://clinic/a")), credentials)


def _machine() -> AzureFileSystem:
    """Return a filesystem with a managed identity, which requests a token first."""
    credentials = AzureCredentials(
        account_name="clinic", managed_identity=True, endpoint_url="https://127.0.0.1:9/clinic", encryption=None
    )
    return AzureFileSystem(account_of(credentials, LOCATION.parse("az://clinic/a")), credentials)


def _range(fs: Any) -> None:
    source = fs.open_sealed("clinic/ward/one")
    try:
        data = source.read_range(START, STOP)
        hold(len(data) == max(0, min(STOP, source.size) - START), "a range of another size than was requested")
    finally:
        source.close()


def _info(fs: Any) -> None:
    _check_entry(fs.info("clinic/ward/one"), "clinic/ward/one")


def _listing(fs: Any) -> None:
    for entry in fs.ls("clinic/ward", detail=True):
        _check_entry(entry, "clinic/ward")


def _find(fs: Any) -> None:
    for name, entry in fs.find("clinic/ward", detail=True, withdirs=True).items():
        hold(name == entry["name"], "two names for one entry")
        _check_entry(entry, "clinic/ward")


def _exists(fs: Any) -> None:
    hold(type(fs.exists("clinic/ward/one")) is bool, "not a boolean")


def _put(fs: Any) -> None:
    with fs.open("clinic/ward/one", "xb") as file:
        file.write(b"37.2")


def _remove(fs: Any) -> None:
    fs.rm("clinic/ward/one", recursive=True)


def _copy(fs: Any) -> None:
    fs.cp_file("clinic/ward/one", "clinic/ward/two")


def _times(fs: Any) -> None:
    fs.modified("clinic/ward/one")


def _check_entry(entry: dict[str, Any], below: str) -> None:
    hold(entry["type"] in ("file", "directory", "other"), "neither file nor folder")
    hold(type(entry["size"]) is int and entry["size"] >= 0, f"invalid size: {entry['size']!r}")
    hold(
        isinstance(entry["name"], str) and f"{entry['name'].strip('/')}/".startswith(f"{below}/"),
        "the name is elsewhere",
    )


@functools.cache
def _user() -> SFTPCredentials:
    return SFTPCredentials(username="u", password=MARK, host_key="SHA256:" + "a" * 43, encryption=None)


def _sftp(packets: Sequence[bytes]) -> SFTP:
    endpoint = Endpoint("127.0.0.1", 9)
    fs = SFTP(endpoint, _user())
    fs.store.sessions = ScriptedSessions(endpoint, _user(), [VERSION, *packets])
    return fs


VERSION = b"\x02" + struct.pack(">I", 3)


_OPERATIONS = (_range, _info, _listing, _find, _exists, _put, _remove, _copy, _times)
_STORES: tuple[tuple[str, Callable[[Sequence[bytes]], Any]], ...] = (
    ("s3", lambda _: _s3()),
    ("azure", lambda _: _azure()),
    ("sftp", _sftp),
)
REQUESTS = (
    *((store, request) for store in _STORES for request in _OPERATIONS),
    (("identity", lambda _: _machine()), _info),
)


def check(data: bytes) -> str:
    """Send a request to a server that responds so."""
    (_, store), request = REQUESTS[(data[0] if data else 0) % len(REQUESTS)]
    responses = data[1:].split(NEXT)
    with contextlib.ExitStack() as undone:
        undone.enter_context(responding(*responses))
        replace(undone, RetryPolicy, "first_pause", 0)
        replace(undone, RetryPolicy, "attempts", 2)
        return attempt(
            lambda: request(EncryptedFileSystem(store(responses), codec=Plain())), hidden=MARK.encode() not in data
        )


def seeds() -> dict[str, bytes]:
    """Return the initial inputs."""
    dated = ("Last-Modified: Mon, 05 Jan 2026 03:04:05 GMT", 'ETag: "a"')
    part = response("206 Partial Content", bytes(37), "Content-Range: bytes 3-39/64", *dated)
    head = response("200 OK", b"", *dated).replace(b"Content-Length: 0", b"Content-Length: 64")
    error = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>no</Message></Error>"
    s3_list = (
        b"<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>2</KeyCount><Contents><Key>ward/one</Key>"
        b"<LastModified>2026-01-05T03:04:05.000Z</LastModified><ETag>&quot;a&quot;</ETag><Size>64</Size>"
        b"<StorageClass>STANDARD</StorageClass></Contents><CommonPrefixes><Prefix>ward/north/</Prefix></CommonPrefixes>"
        b"</ListBucketResult>"
    )
    azure_list = (
        b'<?xml version="1.0"?><EnumerationResults ServiceEndpoint="http://127.0.0.1:9/clinic" ContainerName="clinic">'
        b"<Prefix>ward/</Prefix><Blobs><Blob><Name>ward/one</Name><Properties><Last-Modified>Mon, 05 Jan 2026 03:04:05 "
        b"GMT</Last-Modified><Etag>0x1</Etag><Content-Length>64</Content-Length><BlobType>BlockBlob</BlobType>"
        b"</Properties><Metadata><hdi_isfolder>false</hdi_isfolder></Metadata></Blob><BlobPrefix><Name>ward/north/</Name>"
        b"</BlobPrefix></Blobs><NextMarker/></EnumerationResults>"
    )
    blob = (*dated, "x-ms-blob-type: BlockBlob", "x-ms-meta-hdi_isfolder: false")
    copied = response(
        "200 OK",
        b"<CopyObjectResult><ETag>a</ETag><LastModified>2026-01-05T03:04:05Z</LastModified></CopyObjectResult>",
    )
    deleted = response("200 OK", b"<DeleteResult><Deleted><Key>ward/one</Key></Deleted></DeleteResult>")
    listed = response("200 OK", s3_list, "Content-Type: application/xml")
    blobs = response("200 OK", azure_list, "Content-Type: application/xml")
    below = response("200 OK", azure_list.replace(b"ward/", b"ward/one/"), "Content-Type: application/xml")
    small = response("206 Partial Content", bytes(1), "Content-Range: bytes 0-0/2", *dated)
    http: dict[tuple[str, Any], list[bytes]] = {
        ("s3", _range): [
            part,
            response("416 X", error % b"InvalidRange"),
            response("404 X", error % b"NoSuchKey"),
            head,
        ],
        ("s3", _info): [head, response("404 X") + NEXT + listed],
        ("s3", _listing): [listed, response("403 X", error % b"ExpiredToken")],
        ("s3", _find): [listed],
        ("s3", _exists): [head, response("404 X") + NEXT + listed],
        ("s3", _put): [
            response("404 X") + NEXT + response("200 OK", b"", 'ETag: "a"'),
            response("412 X", error % b"PreconditionFailed"),
        ],
        ("s3", _remove): [listed + NEXT + deleted],
        ("s3", _copy): [head + NEXT + copied],
        ("s3", _times): [head],
        ("azure", _range): [
            part,
            response("416 X", error % b"InvalidRange") + NEXT + small,
            response("404 X", b"", "x-ms-error-code: BlobNotFound"),
        ],
        ("azure", _info): [response("200 OK", b"", *blob), response("404 X") + NEXT + below],
        ("azure", _listing): [blobs, response("403 X", error % b"AuthenticationFailed")],
        ("azure", _find): [blobs],
        ("azure", _exists): [response("200 OK", b"", *blob), response("404 X") + NEXT + below],
        ("azure", _put): [
            response("404 X") + NEXT + response("201 Created", b"", *dated),
            response("404 X") + NEXT + response("409 X", error % b"BlobAlreadyExists"),
        ],
        ("azure", _remove): [below + NEXT + response("404 X") + NEXT + response("202 Accepted")],
        ("azure", _copy): [response("202 Accepted", b"", "x-ms-copy-id: 1", "x-ms-copy-status: success", *dated)],
        ("azure", _times): [response("200 OK", b"", *blob)],
    }
    token = (
        b'{"access_token": "t", "expires_in": "3600", "expires_on": "1767582245", "resource": "r", "token_type": "B"}'
    )
    http["identity", _info] = [
        response("200 OK", token, "Content-Type: application/json"),
        response("200 OK", token.replace(b'"1767582245"', b"1e999"), "Content-Type: application/json"),
        response("200 OK", b"[]", "Content-Type: application/json"),
        response("400 X", b'{"error": "invalid_request"}', "Content-Type: application/json"),
    ]
    packets = _packets()
    scripts: dict[tuple[str, Any], list[bytes]] = {
        ("sftp", _range): [
            NEXT.join((packets["file"], packets["handle"], packets["file"], packets["data"], packets["file"]))
        ],
        ("sftp", _info): [packets["file"], packets["folder"], packets["none"]],
        ("sftp", _listing): [NEXT.join((packets["handle"], packets["names"], packets["end"], packets["fine"]))],
        ("sftp", _find): [NEXT.join((packets["handle"], packets["names"], packets["end"], packets["fine"]))],
        ("sftp", _exists): [packets["none"], packets["denied"]],
        ("sftp", _put): [NEXT.join((packets["none"], packets["handle"], packets["file"], *[packets["fine"]] * 6))],
        ("sftp", _remove): [NEXT.join((packets["file"], packets["file"], packets["fine"]))],
        ("sftp", _copy): [NEXT.join((packets["file"], packets["handle"], packets["file"], packets["data"]))],
        ("sftp", _times): [packets["file"]],
    }
    numbers = {(name, request): number for number, ((name, _), request) in enumerate(REQUESTS)}
    return {
        f"{where[0]}-{where[1].__name__[1:]}-{number}": bytes([numbers[where]]) + data
        for where, inputs in {**http, **scripts}.items()
        for number, data in enumerate(inputs)
    }


def _packets() -> dict[str, bytes]:
    """Return responses of an SFTP server: draft-ietf-secsh-filexfer-02, without length and request ID."""

    def text(data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + data

    def attributes(mode: int) -> bytes:
        return struct.pack(">IQIII", 0b1101, 64, mode, 1767582245, 1767582245)

    def status(code: int) -> bytes:
        return b"\x65" + struct.pack(">I", code) + text(b"said") + text(b"en")

    names = ((b"one", 0o100644), (b"north", 0o040755), (b".", 0o040755), (b"link", 0o120777))
    return {
        "file": b"\x69" + attributes(0o100644),
        "folder": b"\x69" + attributes(0o040755),
        "handle": b"\x66" + text(b"h"),
        "data": b"\x67" + text(bytes(37)),
        "names": b"\x68"
        + struct.pack(">I", len(names))
        + b"".join(text(n) + text(n) + attributes(m) for n, m in names),
        "fine": status(0),
        "end": status(1),
        "none": status(2),
        "denied": status(3),
    }
