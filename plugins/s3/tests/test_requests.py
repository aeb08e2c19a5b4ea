"""What is in the requests: hosts, regions, signatures and the headers of options, on a server that keeps them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from email.message import Message
from typing import Any

import pytest
from hostile import Answer, Request, hostile_server

from connectors.credentials.model import validate
from connectors.errors import AccessDenied, InvalidLocation, StorageError
from connectors.storage import Failure
from connectors_s3 import S3Backend, S3Credentials
from connectors_s3 import store as store_module
from connectors_s3.filesystem import PART_SIZE, S3

KEYS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI", "encryption": None}
CUSTOMER_KEY = base64.b64encode(bytes(range(32))).decode()
CUSTOMER_KEY_MD5 = base64.b64encode(hashlib.md5(bytes(range(32)), usedforsecurity=False).digest()).decode()
SSE_C = {
    "x-amz-server-side-encryption-customer-algorithm": "AES256",
    "x-amz-server-side-encryption-customer-key": CUSTOMER_KEY,
    "x-amz-server-side-encryption-customer-key-md5": CUSTOMER_KEY_MD5,
}
OF_COPIED = {name.replace("x-amz-", "x-amz-copy-source-", 1): value for name, value in SSE_C.items()}


def made(**members: Any) -> S3:
    fs = S3(validate(S3Credentials, {**KEYS, **members}))
    fs.store.first_pause = 0.001
    return fs


def call_of(request: Request) -> str:
    """Return a request's method, and what it is about, such as ``PUT partNumber``."""
    return f"{request.method} {request.target.partition('?')[2].partition('=')[0]}".strip()


def respond(request: Request) -> Answer:
    """Answer as S3 does, about an object of two bytes."""
    match call_of(request):
        case "POST uploads":
            body = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
        case "POST uploadId":
            body = b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"
        case "POST delete":
            body = b"<DeleteResult/>"
        case "GET list-type":
            body = b"<ListBucketResult><Contents><Key>a</Key><Size>2</Size></Contents></ListBucketResult>"
        case "GET" if request.target == "/":
            body = b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"
        case "GET":
            return Answer(206, {"ETag": '"e"', "Content-Range": "bytes 0-1/2"}, b"37")
        case "PUT" | "PUT partNumber" if "x-amz-copy-source" in request.headers:
            body = b"<CopyResult><ETag>e</ETag></CopyResult>"
        case "HEAD":
            return Answer(200, {"ETag": '"e"', "Content-Length": "2"})
        case _:
            return Answer(200, {"ETag": '"e"'})
    return Answer(200, {}, body)


def use(fs: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send every kind of request."""
    for size in (10, PART_SIZE + 1):
        sink = fs.open_sink("clinic/key")
        sink.write(memoryview(bytes(size)))
        sink.commit()
    sink = fs.open_sink("clinic/key")
    sink.write(memoryview(bytes(PART_SIZE + 1)))
    sink.discard()
    fs.open_source("clinic/key").read_range(0, 2)
    fs.info("clinic/key")
    fs.ls("clinic")
    fs.ls("")
    fs.cp_file("clinic/key", "clinic/copy")
    with monkeypatch.context() as small:
        small.setattr(store_module, "_MAX_COPY", 1)
        fs.cp_file("clinic/key", "clinic/copy")
    fs.rm_file("clinic/key")
    fs.store.remove_all(["clinic/a", "clinic/b"])


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Request]]:
    """Return every kind of request of an account with some members in its credentials."""

    def recorded(**members: Any) -> list[Request]:
        with hostile_server(respond) as (url, seen):
            use(made(endpoint_url=url, **members), monkeypatch)
        return seen

    return recorded


def test_customer_key_is_sent_with_every_request_for_the_object_s_bytes(
    recorded: Callable[..., list[Request]],
) -> None:
    seen = recorded(customer_key=CUSTOMER_KEY)
    calls = {call_of(request) for request in seen if SSE_C.items() <= request.headers.items()}
    assert calls == {"PUT", "POST uploads", "PUT partNumber", "POST uploadId", "GET", "HEAD"}
    for request in seen:
        keyed = call_of(request) in calls and request.target != "/"
        assert (SSE_C.items() <= request.headers.items()) == keyed, request.target
        copied = "x-amz-copy-source" in request.headers
        assert (OF_COPIED.items() <= request.headers.items()) == copied, request.target


def test_without_a_customer_key_no_request_has_one(recorded: Callable[..., list[Request]]) -> None:
    assert not [request for request in recorded() if "customer" in str(request.headers)]


def test_requester_pays_is_in_every_request(recorded: Callable[..., list[Request]]) -> None:
    seen = recorded(requester_pays=True)
    assert len({call_of(request) for request in seen}) == 10
    assert {request.headers.get("x-amz-request-payer") for request in seen} == {"requester"}
    assert not [request for request in recorded() if "x-amz-request-payer" in request.headers]


@pytest.mark.parametrize(
    ("members", "wanted"),
    [
        (
            {"acl": "bucket-owner-full-control", "storage_class": "STANDARD_IA"},
            {"x-amz-acl": "bucket-owner-full-control", "x-amz-storage-class": "STANDARD_IA"},
        ),
        (
            {"server_side_encryption": "aws:kms", "kms_key_id": "alias/clinic"},
            {
                "x-amz-server-side-encryption": "aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id": "alias/clinic",
            },
        ),
    ],
)
def test_options_of_an_object_are_in_the_request_that_starts_it(
    recorded: Callable[..., list[Request]], members: dict[str, str], wanted: dict[str, str]
) -> None:
    for request in recorded(**members):
        starts = call_of(request) in ("PUT", "POST uploads")
        assert (wanted.items() <= request.headers.items()) == starts, call_of(request)
        assert starts or not wanted.keys() & request.headers.keys(), call_of(request)


def test_every_request_is_signed_with_all_its_headers_and_its_body(recorded: Callable[..., list[Request]]) -> None:
    for request in recorded(customer_key=CUSTOMER_KEY, requester_pays=True, session_token="t0ken"):
        signed = request.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        names = {name for name in request.headers if name.startswith("x-amz-") or name in ("range", "if-match")}
        assert {"host", *names} <= set(signed)
        assert request.headers["x-amz-content-sha256"] == hashlib.sha256(request.body).hexdigest()
        assert request.headers["x-amz-security-token"] == "t0ken"


def told(region: str) -> Message:
    headers = Message()
    headers["x-amz-bucket-region"] = region
    return headers


class Sent:
    """What a store would send to AWS: each request's host and signature; each is answered with a failure."""

    def __init__(self, fs: S3, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests: list[Any] = []
        monkeypatch.setattr(fs.store.client, "send", self._send)
        self._fs = fs

    def _send(self, request: Any, *_: Any) -> Failure:
        self.requests.append(request)
        return Failure(StorageError("not sent"))

    def next(self, path: str = "clinic/key") -> tuple[str, str, str]:
        """Return the host, the target and the region of the signature of the next read."""
        with pytest.raises(StorageError, match="not sent"):
            self._fs.open_source(path).read_range(0, 1)
        request = self.requests[-1]
        signature = request.headers.get("Authorization", "///")
        return request.origin.authority, request.target.reveal(), signature.split("/")[2]


@pytest.mark.parametrize(
    ("path", "first", "then"),
    [
        ("clinic/key", ("clinic.s3.amazonaws.com", "/key"), ("clinic.s3.eu-west-1.amazonaws.com", "/key")),
        # Only the region's own host leads to a bucket that is in the path.
        ("my.clinic/key", ("s3.amazonaws.com", "/my.clinic/key"), ("s3.eu-west-1.amazonaws.com", "/my.clinic/key")),
    ],
)
def test_bucket_is_asked_for_in_the_region_that_s3_tells(
    path: str, first: tuple[str, str], then: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fs = made()
    sent = Sent(fs, monkeypatch)
    assert sent.next(path) == (*first, "us-east-1")
    failure = fs.store.refusal(301, "PermanentRedirect", path, "read", told("eu-west-1"))
    assert failure.transient
    assert isinstance(failure.error, StorageError)
    assert sent.next(path) == (*then, "eu-west-1")
    assert sent.next(f"other-{path}")[2] == "us-east-1"  # another bucket


def test_region_that_s3_repeats_is_no_reason_to_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fs = made()
    sent = Sent(fs, monkeypatch)
    assert not fs.store.refusal(403, "AccessDenied", "clinic/key", "read", told("us-east-1")).transient
    assert fs.store.refusal(400, "AuthorizationHeaderMalformed", "clinic/key", "read", told("eu-west-1")).transient
    refused = fs.store.refusal(403, "AccessDenied", "clinic/key", "read", told("eu-west-1"))
    assert not refused.transient
    assert isinstance(refused.error, AccessDenied)
    assert sent.next()[2] == "eu-west-1"


@pytest.mark.parametrize("region", ["", "EU", "eu-west-1.attacker.example", "eu-west-1/", "x" * 64, "-", "\n"])
def test_region_that_is_no_name_of_one_is_not_believed(region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fs = made()
    sent = Sent(fs, monkeypatch)
    headers = Message()
    headers.add_header("x-amz-bucket-region", region)
    assert not fs.store.refusal(301, "PermanentRedirect", "clinic/key", "read", headers).transient
    assert sent.next() == ("clinic.s3.amazonaws.com", "/key", "us-east-1")


def test_wrong_region_in_the_credentials_is_corrected_by_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    fs = made(region="eu-north-1")
    sent = Sent(fs, monkeypatch)
    assert sent.next() == ("clinic.s3.eu-north-1.amazonaws.com", "/key", "eu-north-1")
    assert fs.store.refusal(301, "PermanentRedirect", "clinic/key", "read", told("eu-west-1")).transient
    assert sent.next() == ("clinic.s3.eu-west-1.amazonaws.com", "/key", "eu-west-1")


def test_public_object_is_asked_for_in_its_region_without_a_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    fs = S3(validate(S3Credentials, {"anonymous": True, "encryption": None}))
    sent = Sent(fs, monkeypatch)
    assert fs.store.refusal(301, "PermanentRedirect", "my.clinic/key", "read", told("eu-west-1")).transient
    assert sent.next("my.clinic/key") == ("s3.eu-west-1.amazonaws.com", "/my.clinic/key", "")
    assert "Authorization" not in sent.requests[-1].headers


def test_endpoint_cannot_send_requests_to_another_region() -> None:
    def redirect(_: Request) -> Answer:
        return Answer(301, {"x-amz-bucket-region": "eu-west-1", "Location": "https://attacker.example/"})

    with hostile_server(redirect) as (url, seen):
        fs = made(endpoint_url=url)
        for _ in range(2):
            with pytest.raises(StorageError, match="another region or at another endpoint"):
                fs.open_source("clinic/key").read_range(0, 1)
    assert len(seen) == 2
    assert all("/us-east-1/s3/aws4_request" in one.headers["authorization"] for one in seen)


@pytest.mark.parametrize(
    "members",
    [
        {"region": "eu-west-1"},
        {"region": "cn-north-1"},
        {"region": "eu-west-1", "path_style": True},
        {"endpoint_url": "https://store.example/v1/s3/"},
        {"endpoint_url": "http://store.example:8080", "allow_http": True},
        {"endpoint_url": "https://[2001:db8::1]:9000"},
    ],
)
@pytest.mark.parametrize("bucket", ["clinic", "my.clinic", "My_Clinic", "1.2.3.4", "x" * 64])
def test_requests_go_where_presigned_urls_go(members: dict[str, Any], bucket: str) -> None:
    credentials = validate(S3Credentials, {**KEYS, **members})
    key = "a//ü+&=~:b@c!$*'(),;%25?#𝄞 "
    url = S3Backend().presign(f"s3://{bucket}/{key}", credentials, "GET", 60).partition("?")[0]
    request = S3(credentials).store.read_request(f"{bucket}/{key}", None, None)
    assert f"{request.origin.scheme}://{request.origin.authority}{request.target.reveal()}" == url


def test_range_and_version_are_in_the_request_for_bytes() -> None:
    request = made(region="eu-west-1").store.read_request("clinic/key", "bytes=0-9", '"e"')
    assert dict(request.headers) == {"Range": "bytes=0-9", "If-Match": '"e"'}


@pytest.mark.parametrize("path", ["clinic/..", "clinic/a/../b", "clinic/./a", "../clinic", "./key"])
def test_path_that_a_proxy_resolves_is_refused(path: str) -> None:
    fs = made(region="eu-west-1", path_style=True)
    for act in (fs.info, fs.rm_file, fs.cat_file, lambda one: fs.pipe_file(one, b"sealed")):
        with pytest.raises(InvalidLocation, match="can reach another object"):
            act(path)
