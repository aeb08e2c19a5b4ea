"""Ways to access every storage with marked secrets, on real servers; and a server that echoes what it receives.

The servers of two plugins are started with the fixtures of the plugins' own tests.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import asyncssh
import gcs_server
import ssh_server
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas
from canaries import Mark
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hostile import Answer, Request, hostile_server
from servers import AzureServer, S3Server

if TYPE_CHECKING:
    import pytest

__all__ = ["NAMES", "Way", "echo", "open_way"]

Document = dict[str, Any]

_NOWHERE = "http://127.0.0.1:9"
"""An address without a server."""
NAMES = (
    "local files",
    "presigned URLs, S3",
    "SAS URLs, Azure",
    "S3, access key",
    "Azure, account key",
    "Azure, connection string",
    "Azure, SAS",
    "Google Cloud Storage, service account",
    "Google Cloud Storage, token",
    "SFTP, password",
    "SFTP, private key",
)


@dataclass(frozen=True)
class Way:
    """One way to access one storage.

    Attributes:
        name: one of `NAMES`.
        location: the location of an object, which may not exist yet.
        reads: the credentials document to read it with, without its encryption.
        writes: the credentials document to write it with.
        marks: the values that must not be visible, by name.
        elsewhere: returns location and document for the same object on another HTTP server, if that is possible.
        wrong: location and document with a secret that the server refuses; its mark is among `marks`.
        expired: the document with an expired signature, if there can be one.
        folder: the location of a folder, if there can be one.
        presigns: whether URLs can be signed.
        unreachable: location and document for an address without a server.
    """

    name: str
    location: str
    reads: Document
    writes: Document
    marks: dict[str, Mark] = field(repr=False)
    elsewhere: Callable[[str], tuple[str, Document]] | None = None
    wrong: tuple[str, Document] | None = None
    expired: Document | None = None
    folder: str | None = None
    presigns: bool = False
    unreachable: tuple[str, Document] | None = None


@contextmanager
def open_way(name: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Way]:
    """Create the way called `name`, on the session's servers."""
    place = f"object-{secrets.token_hex(4)}"
    key = secrets.token_bytes(32)
    with ExitStack() as running:
        way = _MAKERS[name.partition(",")[0]](name, request, folder, place, running)
        marks = {**way.marks, "key": key}
        if way.elsewhere and not way.unreachable:
            way = replace(way, unreachable=way.elsewhere(_NOWHERE))
        yield replace(way, marks=marks)


def _local(name: str, request: pytest.FixtureRequest, folder: Path, place: str, running: ExitStack) -> Way:
    (folder / "store").mkdir()
    location = f"file://{folder}/store/{place}"
    return Way(name, location, {}, {}, {}, folder=f"file://{folder}/store/wards/")


def _query_of(url: str) -> str:
    return base64.b64encode(url.partition("?")[2].encode()).decode()


def _signature(url: str) -> str:
    members = parse_qs(urlsplit(url).query)
    return (members.get("X-Amz-Signature") or members["sig"])[0]


def _presigned(name: str, request: pytest.FixtureRequest, folder: Path, place: str, running: ExitStack) -> Way:
    server: S3Server = request.getfixturevalue("s3")
    get, put = (server.presign(method, "clinic", place) for method in ("GET", "PUT"))
    past = (datetime.now(UTC) - timedelta(days=2)).strftime("%Y%m%dT%H%M%SZ")
    old = get.replace(parse_qs(urlsplit(get).query)["X-Amz-Date"][0], past)
    other = secrets.token_hex(32)
    wrong = {"query_string": _query_of(get.replace(_signature(get), other))}
    reads = {"query_string": _query_of(get)}
    return Way(
        name,
        get.partition("?")[0],
        reads,
        {"query_string": _query_of(put)},
        {"signature to read": _signature(get), "signature to write": _signature(put), "wrong signature": other},
        elsewhere=lambda url: (f"{url}/clinic/{place}", reads),
        wrong=(get.partition("?")[0], wrong),
        expired={"query_string": _query_of(old)},
    )


def _container_sas(server: AzureServer, hours: float) -> str:
    service = BlobServiceClient(server.endpoint, credential={"account_name": server.account, "account_key": server.key})
    if not service.get_container_client("marked").exists():
        service.create_container("marked")
    query: str = generate_container_sas(
        server.account,
        "marked",
        account_key=server.key,
        permission=ContainerSasPermissions(read=True, write=True, create=True, delete=True, list=True),
        expiry=datetime.now(UTC) + timedelta(hours=hours),
    )
    return query


def _sas_url(name: str, request: pytest.FixtureRequest, folder: Path, place: str, running: ExitStack) -> Way:
    server: AzureServer = request.getfixturevalue("azure")
    good, old = (f"{server.endpoint}/marked/{place}?{_container_sas(server, hours)}" for hours in (1, -1))
    other = base64.b64encode(secrets.token_bytes(32)).decode()
    wrong = good.partition("&sig=")[0] + "&sig=" + other.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    document = {"query_string": _query_of(good)}
    return Way(
        name,
        good.partition("?")[0],
        document,
        document,
        {"signature": _signature(good), "expired signature": _signature(old), "wrong signature": other},
        elsewhere=lambda url: (f"{url}/clinic/marked/{place}", document),
        wrong=(good.partition("?")[0], {"query_string": _query_of(wrong)}),
        expired={"query_string": _query_of(old)},
    )


def _s3(name: str, request: pytest.FixtureRequest, folder: Path, place: str, running: ExitStack) -> Way:
    server: S3Server = request.getfixturevalue("s3")
    other, token = secrets.token_hex(20), base64.b64encode(secrets.token_bytes(60)).decode()
    account = {"access_key_id": server.access_key, "secret_access_key": server.secret_key, "region": server.region}
    account |= {"endpoint_url": server.endpoint}
    temporary = {**account, "session_token": token}
    return Way(
        name,
        f"s3://clinic/{place}",
        account,
        account,
        {"secret access key": server.secret_key, "wrong secret": other, "session token": token},
        elsewhere=lambda url: (f"s3://clinic/{place}", {**temporary, "endpoint_url": url}),
        wrong=(f"s3://clinic/{place}", {**account, "secret_access_key": other}),
        folder=f"s3://clinic/folder-of-{place}/",
        presigns=True,
    )


def _azure(name: str, request: pytest.FixtureRequest, folder: Path, place: str, running: ExitStack) -> Way:
    server: AzureServer = request.getfixturevalue("azure")
    good, old = _container_sas(server, 1), _container_sas(server, -1)
    other = base64.b64encode(secrets.token_bytes(32)).decode()
    signatures = [parse_qs(sas)["sig"][0] for sas in (good, old)]

    def connection(endpoint: str, key: str = server.key) -> Document:
        return {"connection_string": f"AccountName={server.account};AccountKey={key};BlobEndpoint={endpoint}"}

    def account(endpoint: str, **members: str) -> Document:
        return {"account_name": server.account, "endpoint_url": endpoint, **members}

    documents: dict[str, tuple[Callable[..., Document], dict[str, str], dict[str, str]]] = {
        "account key": (account, {"account_key": server.key}, {"account_key": other}),
        "connection string": (connection, {}, {"key": other}),
        "SAS": (account, {"sas_token": good}, {"sas_token": f"{good.partition('&sig=')[0]}&sig={other[:-1]}%3D"}),
    }
    make, right, wrong = documents[name.partition(", ")[2]]
    document = make(server.endpoint, **right)
    location = f"az://marked/{place}"
    marks = {
        "account key": server.key,
        "wrong key": other,
        "signature": signatures[0],
        "expired signature": signatures[1],
    }
    return Way(
        name,
        location,
        document,
        document,
        dict(marks),
        elsewhere=lambda url: (location, make(f"{url}/{server.account}", **right)),
        wrong=(location, make(server.endpoint, **wrong)),
        expired=make(server.endpoint, sas_token=old) if "sas_token" in right else None,
        folder=f"az://marked/folder-of-{place}/",
        presigns="sas_token" not in right,
    )


def _gcs(name: str, request: pytest.FixtureRequest, folder: Path, place: str, running: ExitStack) -> Way:
    url = request.getfixturevalue("gcs")
    key: RSAPrivateKey = generate_private_key(65537, 2048)
    numbers = key.private_numbers()
    tokens = [f"ya29.{secrets.token_urlsafe(40)}" for _ in range(2)]
    given = iter(tokens)

    def respond(request: Request) -> Answer:
        body = {"access_token": next(given, tokens[0]), "expires_in": 3600, "token_type": "Bearer"}
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(body).encode())

    server, _ = running.enter_context(hostile_server(respond))
    repeating, _ = running.enter_context(echo())
    account = {
        "type": "service_account",
        "project_id": "clinic-4711",
        "private_key_id": "0123456789abcdef",
        "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "client_email": "reader@clinic-4711.iam.gserviceaccount.com",
        "token_uri": f"{server}/token",
    }
    by_account = "account" in name
    document: Document = {"service_account": account} if by_account else {"token": tokens[0]}
    refused: Document = {"service_account": {**account, "token_uri": f"{repeating}/token"}}
    location = f"gs://marked/{place}"
    marks: dict[str, Mark] = {f"token {number}": one for number, one in enumerate(tokens)}
    if by_account:
        for part in ("d", "p", "q"):
            value = getattr(numbers, part)
            marks[f"private key's {part}"] = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return Way(
        name,
        location,
        {**document, "endpoint_url": url},
        {**document, "endpoint_url": url},
        marks,
        elsewhere=lambda other: (location, {**document, "endpoint_url": other}),
        wrong=(location, {**refused, "endpoint_url": url}) if by_account else None,
        folder=f"gs://marked/folder-of-{place}/",
        presigns=by_account,
    )


def _sftp(name: str, request: pytest.FixtureRequest, folder: Path, place: str, running: ExitStack) -> Way:
    root = folder / "server"
    root.mkdir()
    password, other = f"{secrets.token_urlsafe(20)} §\"'/+%", secrets.token_urlsafe(20)
    server = running.enter_context(ssh_server.running(root, password=password))
    passphrase = secrets.token_urlsafe(20)
    pem = server.user_key.export_private_key(passphrase=passphrase, rounds=1, ignore_few_rounds=True).decode()
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    location = f"sftp://{server.endpoint}{root}/{place}"
    base = {"username": ssh_server.USER, "host_key": server.host_key}
    if "password" in name:
        document, wrong = {**base, "password": password}, {**base, "password": other}
        marks: dict[str, Mark] = {"password": password, "wrong password": other}
    else:
        document = {**base, "private_key": pem, "passphrase": passphrase}
        wrong = {**base, "private_key": stranger.export_private_key().decode()}
        marks = {
            "passphrase": passphrase,
            "private key's file": "".join(pem.splitlines()[-4:-1]),
            "private key": server.user_key.pyca_key.private_bytes_raw(),
            "wrong private key": stranger.pyca_key.private_bytes_raw(),
        }
    return Way(
        name,
        location,
        document,
        document,
        marks,
        wrong=(location, wrong),
        folder=f"sftp://{server.endpoint}{root}/folder-of-{place}/",
        unreachable=(f"sftp://127.0.0.1:9{root}/{place}", document),
    )


_MAKERS: dict[str, Callable[[str, pytest.FixtureRequest, Path, str, ExitStack], Way]] = {
    "local files": _local,
    "presigned URLs": _presigned,
    "SAS URLs": _sas_url,
    "S3": _s3,
    "Azure": _azure,
    "Google Cloud Storage": _gcs,
    "SFTP": _sftp,
}


@contextmanager
def gcs_emulator(factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the emulator that the plugin's tests use; yield its URL."""
    with gcs_server.emulating(factory.mktemp("gcs") / "fake-gcs-server.log") as emulator:
        assert emulator.ask("POST", "/storage/v1/b", json.dumps({"name": "marked"}).encode())[0] == 200
        yield emulator.url


@contextmanager
def echo(status: int = 403, **headers: str) -> Iterator[tuple[str, list[Request]]]:
    """Run an HTTP server that refuses everything, and echoes the request in every part of its response.

    With more headers (those of a redirect), only the first request gets the status, and all others get 403:
    botocore asks a server that redirects for its region, and would never stop asking.
    """

    def repeat(request: Request) -> Answer:
        sent = f"{request.method} {request.target} {request.headers} {request.body[:4000]!r}"
        short = "".join(letter for letter in sent if letter.isalnum())
        body = (
            f"<Error><Code>AccessDenied</Code><Message>{short}</Message><Token-0>{short}</Token-0></Error>"
            if "json" not in request.headers.get("accept", "")
            else json.dumps({"error": {"message": sent, "errors": [{"reason": "forbidden", "message": sent}]}})
        )
        repeated = {"x-ms-error-code": "AuthorizationFailure", "x-sent": short[:2000], "WWW-Authenticate": short[:500]}
        code, more = (403, {}) if headers and request.number else (status, headers)
        return Answer(code, {"Content-Type": "application/xml", **repeated, **more}, body.encode())

    with hostile_server(repeat) as (url, seen):
        yield url, seen
