"""HTTP responses to presigned URLs, and those of Google Cloud Storage, as they arrive over the wire.

The first byte chooses the request; the rest is the responses, separated by `NEXT`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from connectors.secrets import SecretText
from connectors.storage import BearerSigner, Limits, Reply
from connectors_gcs.credentials import GcsCredentials
from connectors_gcs.filesystem import Gcs
from connectors_gcs.upload import Upload
from connectors_https.filesystem import PresignedFileSystem
from connectors_https.location import Place
from fuzz.checks import MARK, attempt, hold
from fuzz.wire import responding

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NEXT", "REQUESTS", "WORDS", "check", "seeds"]

NEXT = b"\n~next~\n"
WORDS = (
    *(b"HTTP/1.1 ", b"200", b"206", b"307", b"308", b"401", b"403", b"404", b"409", b"412", b"416", b"429", b"503"),
    *(b"Content-Length: ", b"Content-Range: bytes ", b"bytes */0", b"Range: bytes=0-", b"ETag: ", b"Retry-After: "),
    *(
        b"Location: ",
        b"Last-Modified: ",
        b"Content-Encoding: gzip",
        b"Transfer-Encoding: chunked",
        b"Connection: close",
    ),
    *(
        b"x-ms-error-code: ",
        b"x-goog-generation: ",
        b"<Code>",
        b"</Code>",
        b"<ActualObjectSize>",
        b"Infinity",
        b"1e999",
    ),
    *(b'"items": ', b'"prefixes": ', b'"nextPageToken": ', b'"name": ', b'"size": ', b'"generation": ', b'"updated": '),
    *(b'"timeCreated": ', b'"done": true', b'"rewriteToken": ', b'"access_token": ', b'"expires_in": ', b'"reason": '),
    *(NEXT, b"\r\n", b"null", b"true", b"[]", b"{}", b"-1", b"\\ud800", b"99999999999999999999"),
)
"""Words that the fuzzer inserts, besides bytes."""
START, STOP = 3, 40
"""The requested range."""

_LIMITS = Limits(connect_timeout=5, stall_timeout=5)
_PLACE = Place.of("http://127.0.0.1:9/ward/one")


def _https() -> PresignedFileSystem:
    fs = PresignedFileSystem(_PLACE, SecretText(f"X-Amz-Signature={MARK}"), _LIMITS)
    fs.store.attempts, fs.store.first_pause, fs.store.longest_pause = 2, 0, 0
    return fs


def _https_range() -> None:
    source = _https().open_source(_PLACE.location)
    try:
        data = bytes(source.read_range(START, STOP))
        hold(len(data) == max(0, min(STOP, source.size) - START), "a range of another size than was requested")
    finally:
        source.close()


def _https_info() -> None:
    info = _https().info(_PLACE.location)
    hold(type(info["size"]) is int and info["size"] >= 0, "invalid size")


def _https_modified() -> None:
    _https().modified(_PLACE.location)


def _https_put() -> None:
    with _https().open(_PLACE.location, "xb") as file:
        file.write(b"37.2")


def _gcs() -> Gcs:
    fs = Gcs(GcsCredentials(token=MARK, endpoint_url="http://127.0.0.1:9", encryption=None))
    fs.store.client.limits = _LIMITS
    fs.store.attempts, fs.store.first_pause, fs.store.longest_pause = 2, 0, 0
    return fs


def _gcs_range() -> None:
    source = _gcs().open_source("clinic/ward/one")
    data = source.read_range(START, STOP)
    hold(len(data) == max(0, min(STOP, source.size) - START), "a range of another size than was requested")


def _gcs_info() -> None:
    _check_entry(_gcs().info("clinic/ward/one"), "clinic/ward/one")


def _gcs_listing() -> None:
    for entry in _gcs().ls("clinic/ward", detail=True):
        _check_entry(entry, "clinic/ward")


def _gcs_find() -> None:
    for name, entry in _gcs().find("clinic/ward", detail=True, withdirs=True).items():
        hold(name == entry["name"], "two names for one entry")
        _check_entry(entry, "clinic/ward")


def _gcs_times() -> None:
    fs = _gcs()
    hold(fs.modified("clinic/ward/one").year, "invalid time")
    hold(fs.created("clinic/ward/one").year, "invalid time")


def _gcs_copy() -> None:
    _gcs().cp_file("clinic/ward/one", "clinic/ward/two")


def _gcs_session() -> None:
    store, path = _gcs().store, "clinic/ward/one"
    upload: Upload = store.start_upload(path, exclusive=True)
    upload.attempts, upload.first_pause, upload.longest_pause = 2, 0, 0
    try:
        parts: list[Reply] = [
            store.send_part(path, upload, 1, memoryview(b"37.2"), last=False),
            store.send_part(path, upload, 2, memoryview(b"38.9"), last=True),
        ]
        store.complete_upload(path, upload, parts, exclusive=True)
    finally:
        store.abort_upload(path, upload)


def _gcs_put() -> None:
    with _gcs().open("clinic/ward/one", "wb") as file:
        file.write(b"37.2")


def _gcs_remove() -> None:
    _gcs().rm("clinic/ward", recursive=True)


def _gcs_token() -> None:
    store = Gcs(_account()).store
    hold(isinstance(store.signer, BearerSigner), "no account")
    signed = store.signer.sign(store.read_request("clinic/ward/one", None, None))
    token = signed.headers["Authorization"].removeprefix("Bearer ")
    hold(token and token.isascii() and token.isprintable(), "the token is not valid in a header")


@functools.cache
def _account() -> GcsCredentials:
    from fuzz.targets.credentials import private_key  # noqa: PLC0415 - slow to generate

    account = {
        "type": "service_account",
        "client_email": "reader@project.iam.gserviceaccount.com",
        "private_key": private_key(),
        "token_uri": "http://127.0.0.1:9/token",
    }
    return GcsCredentials.model_validate(
        {"service_account": account, "endpoint_url": "http://127.0.0.1:9", "encryption": None}
    )


def _check_entry(entry: dict[str, Any], below: str) -> None:
    hold(entry["type"] in ("file", "directory"), "neither file nor folder")
    hold(type(entry["size"]) is int and entry["size"] >= 0, "invalid size")
    hold(isinstance(entry["name"], str) and f"{entry['name']}/".startswith(f"{below}/"), "the name is elsewhere")
    entry["name"].encode()


REQUESTS: tuple[Callable[[], None], ...] = (
    _https_range,
    _https_info,
    _https_modified,
    _https_put,
    _gcs_range,
    _gcs_info,
    _gcs_listing,
    _gcs_find,
    _gcs_times,
    _gcs_copy,
    _gcs_session,
    _gcs_put,
    _gcs_remove,
    _gcs_token,
)


def check(data: bytes) -> str:
    """Send a request to a server that responds so."""
    request = REQUESTS[(data[0] if data else 0) % len(REQUESTS)]
    # An error quotes the host of a redirect, so the mark counts as secret only if the server does not send it.
    hidden = MARK.encode() not in data
    with responding(*data[1:].split(NEXT)):
        return attempt(request, hidden=hidden)


def response(status: str, body: bytes = b"", *headers: str) -> bytes:
    """Return an HTTP response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def seeds() -> dict[str, bytes]:
    """Return the initial inputs."""
    item = (
        b'{"kind": "storage#object", "name": "ward/one", "size": "64", "generation": "17", "md5Hash": "a=", '
        b'"timeCreated": "2026-01-02T03:04:05.678Z", "updated": "2026-01-02T03:04:05.678Z"}'
    )
    error = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>no</Message></Error>"
    reason = b'{"error": {"errors": [{"reason": "rateLimitExceeded"}], "code": 403}}'
    page = b'{"kind": "storage#objects", "items": [' + item + b'], "prefixes": ["ward/north/"], "nextPageToken": "2"}'
    last = (
        b'{"kind": "storage#objects", "items": [' + item.replace(b"ward/one", b"ward/").replace(b'"64"', b'"0"') + b"]}"
    )
    part = response("206 Partial Content", bytes(37), "Content-Range: bytes 3-39/64", 'ETag: "a"')
    object_part = response("206 Partial Content", bytes(37), "Content-Range: bytes 3-39/64", "x-goog-generation: 17")
    first = response(
        "206 Partial Content", b"a", "Content-Range: bytes 0-0/64", "Last-Modified: Mon, 05 Jan 2026 03:04:05 GMT"
    )
    opened = response("200 OK", b"", "Location: http://127.0.0.1:9/upload/storage/v1/b/clinic/o?upload_id=1")
    found = {
        _https_range: [
            part,
            response("200 OK", bytes(64), "Last-Modified: Mon, 05 Jan 2026 03:04:05 GMT"),
            response("416 Range Not Satisfiable", b"", "Content-Range: bytes */2"),
            response("416 X", b"<ActualObjectSize>0</ActualObjectSize>"),
            response("403 Forbidden", error % b"ExpiredToken"),
            response("503 Slow Down", error % b"SlowDown", "Retry-After: 3") + NEXT + part,
            response("503 Slow Down", b"", "Retry-After: Mon, 05 Jan 2026 03:04:05 GMT"),
            response("307 Temporary Redirect", b"", "Location: https://elsewhere.example/x"),
            response("404 Not Found", error % b"NoSuchBucket", "x-ms-error-code: ContainerNotFound"),
        ],
        _https_info: [
            first,
            response("206 Partial Content", b"", "Content-Range: bytes 0--1/0") + NEXT + response("200 OK"),
        ],
        _https_modified: [first],
        _https_put: [
            response("200 OK", b"", 'ETag: "a"'),
            response("412 X", error % b"PreconditionFailed"),
            response("409 X", error % b"ConditionalRequestConflict"),
        ],
        _gcs_range: [
            object_part,
            response("200 OK", bytes(64), "x-goog-generation: 17"),
            response("416 X"),
            response("403 X", reason),
            response(
                "206 X", bytes(37), "Content-Range: bytes 3-39/64", "x-goog-generation: 17", "Content-Encoding: gzip"
            ),
        ],
        _gcs_info: [
            response("200 OK", item),
            response("404 X") + NEXT + response("200 OK", last),
            response("401 X", reason),
        ],
        _gcs_listing: [response("200 OK", page) + NEXT + response("200 OK", last), response("200 OK", b"{}")],
        _gcs_find: [response("200 OK", page) + NEXT + response("200 OK", last)],
        _gcs_times: [response("200 OK", item)],
        _gcs_copy: [
            response(
                "200 OK",
                b'{"kind": "storage#rewriteResponse", "totalBytesRewritten": "1", "done": false, "rewriteToken": "t"}',
            )
            + NEXT
            + response("200 OK", b'{"kind": "storage#rewriteResponse", "done": true}')
        ],
        _gcs_session: [
            opened
            + NEXT
            + response("308 Resume Incomplete", b"", "Range: bytes=0-3")
            + NEXT
            + response("200 OK", item)
            + NEXT
            + response("499 X"),
            opened + NEXT + response("308 X", b"", "Range: bytes=0-1") + NEXT + response("503 X"),
        ],
        _gcs_put: [response("200 OK", item), response("412 X", reason)],
        _gcs_remove: [
            response("200 OK", page.replace(b'"2"', b"null"))
            + NEXT
            + response("404 X")
            + NEXT
            + response("204 No Content")
        ],
        _gcs_token: [
            response("200 OK", b'{"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}'),
            response("400 X", b'{"error": "invalid_grant", "error_description": "d"}'),
            response("200 OK", b'{"access_token": "t", "expires_in": "60"}'),
        ],
    }
    return {
        f"{request.__name__[1:]}-{number}": bytes([REQUESTS.index(request)]) + data
        for request, listed in found.items()
        for number, data in enumerate(listed)
    }
