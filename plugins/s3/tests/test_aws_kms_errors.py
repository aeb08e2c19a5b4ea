"""What AWS KMS answers, in errors that moto does not have: by a fake of its documented API."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hostile import Answer, Request, hostile_server

from connectors.errors import ConnectorError, InvalidKey, KeyRefused, KeyUnavailable
from connectors.keys import reference, source_of, wrapping
from connectors.secrets import SecretKey
from connectors.testing.tools import Heard, leaks_among
from connectors_s3.kms_server import KmsServer

ARN = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SECRET, TOKEN = "wJalrXUtnFEMI/K7MDENG/bPxRfiCY+EXAMPLE", "IQoJb3JpZ2luX2VjEXAMPLETOKEN//////////"
KEYS = {"access_key_id": "ASIDEXAMPLE", "secret_access_key": SECRET, "session_token": TOKEN}
PLACE = {"source": "aws-kms", "key_id": ARN, "context": {"dataset": "conditions"}, **KEYS}
WRAPPED = b"\x01\x02\x02\x00x ciphertext of KMS"
KEY = SecretKey("5eed" * 16)

REFUSED = [
    ("AccessDeniedException", 400, "kms:Decrypt to unwrap, or kms:Encrypt to wrap, with this context"),
    ("DisabledException", 400, "the key is disabled; its owner has to enable it"),
    ("KMSInvalidStateException", 400, "pending deletion or import, or its key store is disconnected"),
    ("NotFoundException", 400, "no such key or alias in this account and region; check key_id and region"),
    ("InvalidCiphertextException", 400, "was changed, or was wrapped with another context"),
    ("IncorrectKeyException", 400, "another key wrapped this one; name that key in key_id"),
    ("InvalidKeyUsageException", 400, "not a symmetric key for encryption"),
    ("ValidationException", 400, "does not accept key_id, context or wrapped"),
    ("ExpiredTokenException", 400, r"the session token has expired; get new credentials.*Dataset\.refresh\(\)"),
    ("ExpiredTokenException", 403, "the session token has expired"),
    ("UnrecognizedClientException", 400, "no such access key, or its session token is wrong"),
    ("InvalidSignatureException", 400, "secret_access_key is wrong, or this machine's clock is"),
    ("IncompleteSignature", 403, "secret_access_key is wrong, or this machine's clock is"),
    ("RequestExpired", 400, "this machine's clock is wrong"),
    ("OptInRequired", 403, "has not enabled this service or region"),
]
PASSING = [
    ("ThrottlingException", 400),
    ("KeyUnavailableException", 500),
    ("DependencyTimeoutException", 503),
    ("KMSInternalException", 500),
    ("ServiceUnavailable", 503),
    ("InternalFailure", 500),
    ("", 502),
]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let retries follow at once."""
    monkeypatch.setattr(KmsServer, "first_pause", 0.001)


def error(code: str, status: int, start: str = "", end: str = "") -> Answer:
    """Return an error as a fake KMS sends it.

    It follows https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html#API_Decrypt_Errors and
    https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html; how a code is written is said in
    https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html#operation-error-serialization. No KMS repeats secrets
    in its message; this one does.
    """
    body = {"__type": f"{start}{code}{end}", "message": f"{SECRET} {TOKEN} {KEY.reveal().hex()}"}
    return Answer(status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(body).encode())


def fake(request: Request) -> Answer:
    """Answer as KMS does: the key is what the fake always holds, and it checks nothing.

    It follows https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html and API_Decrypt.html.
    """
    wrapped, key = base64.b64encode(WRAPPED).decode(), base64.b64encode(KEY.reveal()).decode()
    answers = {"TrentService.Encrypt": {"CiphertextBlob": wrapped}, "TrentService.Decrypt": {"Plaintext": key}}
    members = {**answers[request.headers["x-amz-target"]], "KeyId": ARN, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
    return Answer(200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(members).encode())


def unwrap(url: str, **changes: Any) -> SecretKey:
    # Without a local variable for the document: the tracebacks of this function are searched too.
    found = reference({**PLACE, "wrapped": base64.b64encode(WRAPPED).decode(), "endpoint": url, **changes})
    return source_of("aws-kms").unwrap(found, None)


def wrap(url: str, **changes: Any) -> dict[str, Any]:
    return source_of("aws-kms").wrap(KEY, wrapping({**PLACE, "endpoint": url, **changes}), None).document()


def failure(respond: Callable[[Request], Answer], work: Callable[[str], object] = unwrap) -> ConnectorError:
    """Return the error of an operation, after a check that no secret is in it, in logs or in tracebacks."""
    with hostile_server(respond) as (url, _), Heard() as heard, pytest.raises(ConnectorError) as caught:
        work(url)
    assert caught.tb.tb_next is not None  # the variables of this function have what the server received
    trace = traceback.TracebackException(caught.type, caught.value, caught.tb.tb_next, capture_locals=True)
    shown = [caught.value, "".join(trace.format()), "\n".join(heard.lines)]
    forms = [KEY.reveal().hex(), base64.b64encode(KEY.reveal()).decode(), repr(KEY.reveal())[2:-1]]
    assert leaks_among([SECRET, TOKEN, *forms], *shown) == []
    assert caught.value.__context__ is None or isinstance(caught.value.__context__, ConnectorError)
    return caught.value


@pytest.mark.parametrize("path", ["", "/gateway/kms/"])
def test_requests_are_those_of_the_documented_api(path: str) -> None:
    with hostile_server(fake) as (url, seen):
        document = wrap(url + path)
        assert base64.b64decode(document["wrapped"]) == WRAPPED
        assert unwrap(url + path) == KEY
    common = {"KeyId": ARN, "EncryptionContext": {"dataset": "conditions"}}
    assert [json.loads(one.body) for one in seen] == [
        {**common, "Plaintext": base64.b64encode(KEY.reveal()).decode()},
        {**common, "CiphertextBlob": base64.b64encode(WRAPPED).decode()},
    ]
    for one, operation in zip(seen, ["Encrypt", "Decrypt"], strict=True):
        assert (one.method, one.target) == ("POST", path or "/")
        assert one.headers["content-type"] == "application/x-amz-json-1.1"
        assert one.headers["x-amz-target"] == f"TrentService.{operation}"
        assert one.headers["x-amz-security-token"] == TOKEN
        assert "/eu-west-1/kms/aws4_request, SignedHeaders=content-type;host;" in one.headers["authorization"]


@pytest.mark.parametrize(("code", "status", "says"), REFUSED)
@pytest.mark.parametrize("work", [unwrap, wrap])
def test_refusal_says_what_to_do(code: str, status: int, says: str, work: Callable[[str], object]) -> None:
    caught = failure(lambda _: error(code, status), work)
    assert type(caught) is KeyRefused
    with pytest.raises(
        KeyRefused, match=rf"AWS KMS refuses to (un)?wrap a key with {ARN} \({status} {code}\): .*{says}"
    ):
        raise caught


@pytest.mark.parametrize(
    ("start", "end"),
    [("com.amazonaws.kms#", ""), ("com.amazonaws.kms#", ":http://internal.amazon.com/coral/"), ("", ":x")],
)
def test_code_is_found_in_all_its_spellings(start: str, end: str) -> None:
    caught = failure(lambda _: error("DisabledException", 400, start, end))
    assert "(400 DisabledException): the key is disabled" in str(caught)


def test_code_may_be_in_a_header() -> None:
    answer = Answer(400, {"x-amzn-ErrorType": "DisabledException:http://internal.amazon.com/coral/"}, b"")
    assert "(400 DisabledException): the key is disabled" in str(failure(lambda _: answer))


@pytest.mark.parametrize(("code", "status"), PASSING)
def test_what_passes_is_retried(code: str, status: int) -> None:
    def respond(request: Request) -> Answer:
        return fake(request) if request.number == 2 else error(code, status)

    with hostile_server(respond) as (url, seen):
        assert unwrap(url) == KEY
    assert len(seen) == 3
    assert len({one.body for one in seen}) == 1


@pytest.mark.parametrize(("code", "status"), PASSING)
def test_what_does_not_pass_in_time_is_an_outage(code: str, status: int) -> None:
    caught = failure(lambda _: error(code, status))
    assert type(caught) is KeyUnavailable
    said = f"{status} {code}".strip()
    assert f"AWS KMS cannot unwrap a key with {ARN} now ({said}); try again later" in str(caught)


@pytest.mark.parametrize(
    "members",
    [
        {"KeyId": ARN},
        {"KeyId": ARN, "Plaintext": None, "CiphertextForRecipient": "AAAA"},
        {"KeyId": ARN, "Plaintext": "not base64!", "CiphertextBlob": "not base64!"},
        {"KeyId": ARN, "Plaintext": 7, "CiphertextBlob": 7},
        {"Plaintext": base64.b64encode(KEY.reveal()).decode(), "CiphertextBlob": "AAAA"},
        {"KeyId": f"{ARN[:-1]}0", "Plaintext": base64.b64encode(KEY.reveal()).decode(), "CiphertextBlob": "AAAA"},
        {"KeyId": "alias/clinic", "Plaintext": base64.b64encode(KEY.reveal()).decode(), "CiphertextBlob": "AAAA"},
        [],
        None,
    ],
)
@pytest.mark.parametrize("work", [unwrap, wrap])
def test_response_that_kms_does_not_send_is_an_outage(members: Any, work: Callable[[str], object]) -> None:
    caught = failure(lambda _: Answer(200, {}, json.dumps(members).encode()), work)
    assert type(caught) is KeyUnavailable
    assert f"AWS KMS sent an invalid response about {ARN}" in str(caught)


@pytest.mark.parametrize("arn", [ARN.replace("eu-west-1", "us-east-1"), ARN.replace("key/", "alias/"), f"{ARN}\n", "x"])
def test_alias_leads_to_a_key_of_the_region(arn: str) -> None:
    members = {"KeyId": arn, "CiphertextBlob": "AAAA"}
    with hostile_server(lambda _: Answer(200, {}, json.dumps(members).encode())) as (url, _):
        with pytest.raises(KeyUnavailable, match="invalid response about alias/clinic in eu-west-1"):
            wrap(url, key_id="alias/clinic", region="eu-west-1")


@pytest.mark.parametrize(
    "reply", [ARN.replace("123456789012", "999999999999"), ARN.replace("arn:aws:", "arn:aws-cn:"), ARN[8:]]
)
@pytest.mark.parametrize("work", [unwrap, wrap])
def test_alias_of_an_account_leads_to_a_key_of_that_account(reply: str, work: Callable[..., object]) -> None:
    alias = f"{ARN.partition(':key/')[0]}:alias/clinic"
    key, wrapped = base64.b64encode(KEY.reveal()).decode(), base64.b64encode(WRAPPED).decode()
    members = {"Plaintext": key, "CiphertextBlob": wrapped}
    answers = [Answer(200, {}, json.dumps({**members, "KeyId": one}).encode()) for one in (reply, ARN)]
    with hostile_server(lambda _: answers.pop(0)) as (url, _):
        with pytest.raises(KeyUnavailable, match=f"invalid response about {alias}"):
            work(url, key_id=alias)
        assert work(url, key_id=alias)


@pytest.mark.parametrize("size", [0, (1 << 16) + 1])
def test_wrapped_key_of_a_size_that_no_document_holds_is_an_outage(size: int) -> None:
    members = {"KeyId": ARN, "CiphertextBlob": base64.b64encode(bytes(size)).decode()}
    caught = failure(lambda _: Answer(200, {}, json.dumps(members).encode()), wrap)
    assert f"AWS KMS sent an invalid response about {ARN}" in str(caught)


def test_plaintext_that_is_no_key_is_refused() -> None:
    members = {"KeyId": ARN, "Plaintext": base64.b64encode(b"\xff" * 16).decode()}
    assert type(failure(lambda _: Answer(200, {}, json.dumps(members).encode()))) is InvalidKey


def test_id_names_the_key_that_must_have_been_used() -> None:
    with hostile_server(fake) as (url, _):
        assert unwrap(url, key_id=ARN.rpartition("/")[2], region="eu-west-1") == KEY
        other = "9999abcd-12ab-34cd-56ef-1234567890ab"
        with pytest.raises(KeyUnavailable, match=f"invalid response about {other} in eu-west-1"):
            unwrap(url, key_id=other, region="eu-west-1")
