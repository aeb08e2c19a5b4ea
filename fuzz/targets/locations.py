"""Locations, and text pasted from portals: signed queries, connection strings, endpoints.

The first byte chooses the parser; the rest is its text.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from connectors.credentials.expiry import sas_expiry
from connectors.secrets import SecretText, redact_url
from connectors.storage import endpoints, split_path
from connectors.storage.local import FileBackend, FileCredentials, MemoryBackend, MemoryCredentials
from connectors.storage.registry import scheme_of
from connectors_azure import connection_string as azure_text
from connectors_azure.location import LOCATION as AZURE
from connectors_gcs.location import LOCATION as GCS
from connectors_https.location import Place
from connectors_https.signature import Signature
from connectors_s3.location import LOCATION as S3
from connectors_sftp import location as sftp
from fuzz.checks import ACCEPTED, MARK, attempt, hold

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.storage import BucketLocation

__all__ = ["PARSERS", "WORDS", "check", "seeds"]

WORDS = (
    *(b"s3://", b"gs://", b"az://", b"abfss://", b"sftp://", b"ssh://", b"https://", b"http://", b"file:///", b"://"),
    *(b"hunter2", b"user:hunter2@", b"?hunter2", b"#hunter2", b"[::1]", b"127.0.0.1", b"localhost", b":0", b":65536"),
    *(b".blob.core.windows.net", b"/../", b"/./", b"//", b"%2F", b"%00", b"%ff", b"\\", b"\xc2\xa0", b"\xed\xa0\x80"),
    *(b"X-Amz-Date=", b"X-Amz-Expires=", b"X-Amz-Signature=", b"X-Amz-SignedHeaders=", b"20260102T030405Z", b"&sig="),
    *(
        b"&se=",
        b"&ske=",
        b"X-Goog-Date=",
        b"GoogleAccessId=",
        b"Expires=",
        b"99999999999",
        b"9999-12-31T23:59:59-23:59",
    ),
    *(
        b"AccountName=",
        b"AccountKey=",
        b"BlobEndpoint=",
        b"SharedAccessSignature=",
        b"EndpointSuffix=",
        b";",
        b"0001-01-01",
    ),
)
"""Words that the fuzzer inserts, besides bytes."""

_SCHEME = re.compile(r"[A-Za-z0-9+-]+")


def _scheme(text: str) -> str:
    def parse() -> None:
        scheme = scheme_of(text)
        hold(scheme == scheme.lower() and text.lower().startswith(f"{scheme}://"), "another scheme than the text has")

    return attempt(parse, hidden=_is_secret(text))


def _redact(text: str) -> str:
    shown = redact_url(text)
    if _is_secret(text):
        hold(MARK not in shown, "a secret of a URL is shown")
    hold(redact_url(shown) == shown or "?" in shown, "redacting twice differs")
    return ACCEPTED


def _s3(text: str) -> str:
    return _bucket(S3, text)


def _gcs(text: str) -> str:
    return _bucket(GCS, text)


def _azure(text: str) -> str:
    return _bucket(AZURE, text)


def _bucket(form: BucketLocation, text: str) -> str:
    def parse() -> None:
        place = form.parse(text)
        host = f"@{text.partition('@')[2][: len(place.host)]}" if place.host else ""
        hold(text.partition("://")[2] == f"{place.bucket}{host}/{place.key}", "a location does not round-trip")
        hold(split_path(place.path) == form.split(place.path) == place[:2], "a path does not round-trip")
        _check_name(place.key)

    return attempt(parse, hidden=_is_secret(text))


def _azure_path(text: str) -> str:
    def parse() -> None:
        container, name = AZURE.split(text)
        hold(text in (container, f"{container}/{name}"), "a path in Azure does not round-trip")

    return attempt(parse)


def _sftp(text: str) -> str:
    def parse() -> None:
        endpoint, path = sftp.split_location(text)
        hold(text.endswith(path) and path.startswith("/"), "a location on an SFTP server does not round-trip")
        hold(0 < endpoint.port < 1 << 16, "an invalid port")
        again = sftp.split_location(f"sftp://{endpoint}{path}")
        hold(again == (endpoint, path), "an SFTP server is shown as another one")
        _check_name(path[1:])

    return attempt(parse, hidden=_is_secret(text))


def _https(text: str) -> str:
    def parse() -> None:
        place = Place.of(text)
        hold(
            place.path.isascii() and place.path.isprintable() and " " not in place.path,
            "a path that no request line allows",
        )
        hold(place.path.startswith("/") and not {"?", "#"} & set(place.path), "an invalid path")
        hold(place.host.isascii() and "@" not in place.host, "an invalid host")
        written = f"{place.scheme}://{place.host}{'' if place.port is None else f':{place.port}'}{place.path}"
        again = Place.of(written)
        hold((again.host, again.port, again.path) == (place.host, place.port, place.path), "a URL does not round-trip")

    return attempt(parse, hidden=_is_secret(text))


def _local(text: str) -> str:
    def parse() -> None:
        _, path = FileBackend().connect(text, FileCredentials(encryption=None))
        hold(path.startswith("/") and "\0" not in path, "an invalid file path")
        os.fsencode(path)

    return attempt(parse, hidden=_is_secret(text))


def _memory(text: str) -> str:
    return attempt(lambda: MemoryBackend().connect(text, MemoryCredentials(encryption=None)))


def _signature(text: str) -> str:
    found = Signature.of(text)
    hold(MARK not in str(found.expires_at), "a secret is shown as a time")
    hold(all(re.fullmatch(r"[a-z0-9-]+", name) for name in found.signed_headers), "an invalid header name")
    said = "; ".join(
        (*found.problems, found.explanation("GET"), found.explanation("PUT"), found.obstacle(writing=True) or "")
    )
    # The names of signed headers are no secrets, whatever they are.
    hold(MARK not in said or any(MARK in name for name in found.signed_headers), "a secret is shown as a problem")
    if found.expires_at is not None:
        hold(found.expires_at.utcoffset() is not None, "a time without a zone")
        f"{found.expires_at:%Y-%m-%d %H:%M:%S} {found.expires_at.timestamp()}"
    return found.flavour


def _connection(text: str) -> str:
    connection, problem = azure_text.parse_connection_string(SecretText(text))
    hold((connection is None) != (problem is None), "either a connection or a problem")
    if connection is None:
        hold(MARK not in (problem or ""), "a secret is shown")
        return "a problem"
    hold((connection.key is None) != (connection.sas is None), "either a key or a signature")
    hold(azure_text.url_problem(connection.endpoint) is None, "an invalid endpoint")
    hold(re.fullmatch("[a-z0-9]{3,24}", connection.account), "an invalid account")
    hold(MARK not in f"{connection!r} {connection}", "a secret is shown")
    if connection.sas:
        sas_expiry(connection.sas.reveal())
    return ACCEPTED


def _pasted(text: str) -> str:
    secret = SecretText(text)
    problems = [azure_text.sas_problem(secret), azure_text.key_problem(secret), azure_text.url_problem(text)]
    hold(not any(MARK in problem for problem in problems if problem), "a secret is shown")
    sas_expiry(text)
    if problems[2] is None:
        endpoints.sends_in_the_clear(text)
        hold(urlsplit(text).hostname, "an endpoint without a host")
    return ACCEPTED if None in problems else "a problem"


def _check_name(name: str) -> None:
    hold(not {".", ".."} & set(name.split("/")), "a name leads elsewhere")
    hold(not any(character < " " or character == "\x7f" for character in name), "control characters in a name")
    name.encode("utf-8")


def _is_secret(text: str) -> bool:
    """Tell whether `MARK` is only where URLs have secrets: user information, query and fragment."""
    start = min((place for place in map(text.find, "?#") if place >= 0), default=len(text))
    before = text[:start]
    scheme, separator, rest = before.partition("://")
    authority, slash, path = rest.partition("/")
    if separator and _SCHEME.fullmatch(scheme):
        before = f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
    return MARK in text and MARK not in before


PARSERS: tuple[Callable[[str], str], ...] = (
    _scheme,
    _redact,
    _s3,
    _gcs,
    _azure,
    _azure_path,
    _sftp,
    _https,
    _local,
    _memory,
    _signature,
    _connection,
    _pasted,
)


def check(data: bytes) -> str:
    """Pass a parser its text."""
    # Lone surrogates too: a program may pass text that it got from a file name.
    text = data[1:].decode("utf-8", "surrogateescape")
    return PARSERS[(data[0] if data else 0) % len(PARSERS)](text)


def seeds() -> dict[str, bytes]:
    """Return the initial inputs."""
    texts: dict[Callable[[str], str], list[str]] = {
        _scheme: ["s3://clinic/ward", "az+x://a", "nothing"],
        _redact: [f"https://user:{MARK}@host:8443/bucket/key?X-Amz-Signature={MARK}#x", f"not a url?{MARK}"],
        _s3: ["s3://clinic/2026/50% of patients?.csv", "s3://clinic/", f"s3://{MARK}@clinic/a", "s3://arn:aws:s3:x/y"],
        _gcs: ["gs://clinic/2026/50% of patients?.csv", "gcs://clinic.example/folder/", f"gs://a:{MARK}@b/c"],
        _azure: [
            "az://clinic/2026/50% of patients?.csv",
            "abfss://clinic@account.dfs.core.windows.net/name",
            "az://$root/x",
            f"az://clinic@{MARK}/x",
        ],
        _azure_path: ["clinic/name", "clinic", "$web/index.html"],
        _sftp: ["sftp://files.clinic.example:2222/2026/a b?.csv", "ssh://[::1]:22/x/", f"sftp://u:{MARK}@h/p"],
        _https: [
            "https://bucket.s3.eu-west-1.amazonaws.com/ward/a%20b.csv",
            "http://127.0.0.1:9000/b/k",
            "http://[::1]:80/x%zz",
            f"https://host/x?sig={MARK}",
            f"https://u:{MARK}@host/x",
        ],
        _local: ["file:///data/conditions.csv.sealed", "file://localhost/a%3Fb", f"file:///x?{MARK}", "file://[x/y"],
        _memory: ["memory://bucket/key"],
        _signature: [
            f"X-Amz-Date=20260102T030405Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host%3Brange&X-Amz-Signature={MARK}",
            f"sv=2024-11-04&se=2026-01-02T03%3A04Z&ske=2026-01-02T03%3A04%3A05%2B01%3A00&sig={MARK}",
            f"X-Goog-Date=20260102T030405Z&X-Goog-Expires=60&X-Goog-Signature={MARK}",
            f"GoogleAccessId=a&Expires=1767322800&Signature={MARK}",
            f"AWSAccessKeyId=a&Expires=1767322800&Signature={MARK}",
        ],
        _connection: [
            f"DefaultEndpointsProtocol=https;AccountName=clinic;AccountKey={MARK}A=;EndpointSuffix=core.windows.net",
            f"BlobEndpoint=https://clinic.blob.core.windows.net/;SharedAccessSignature=sv=1&se=2026-01-02&sig={MARK}",
            f"AccountName=clinic;AccountKey={MARK}A=;BlobEndpoint=http://127.0.0.1:10000/clinic",
        ],
        _pasted: [f"?sv=1&sig={MARK}", "https://clinic.blob.core.windows.net", "http://[::1]:1/a", f"{MARK}A="],
    }
    return {
        f"{parser.__name__[1:]}-{number}": bytes([PARSERS.index(parser)]) + text.encode()
        for parser, listed in texts.items()
        for number, text in enumerate(listed)
    }
