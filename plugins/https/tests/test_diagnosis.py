"""What `connectors dataset check` and errors say about the query of a signed URL, and the conditions in it."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signed_urls import UNKNOWABLE, signed_urls

from connectors.credentials.model import validate
from connectors.errors import AccessDenied, NotSupported, StorageUnavailable
from connectors_https import HttpsCredentials, Signature

NAMES = tuple(signed_urls())
DIGITS = "5ec2e7" * 10 + "5ec2"
GOOD = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20990102%2Feu-west-1%2Fs3%2Faws4_request"
    f"&X-Amz-Date=20990102T030405Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature={DIGITS}"
)
SAS = f"sv=2024-11-04&se=2099-01-02T03%3A04%3A05Z&sr=b&sp=r&sig={'5ec2e7' * 7}0%3D"
JAVASCRIPT = "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32&x-id=PutObject"


VENDOR = re.compile(
    r"(?:X-Amz-[A-Z]\w+|X-Goog-[A-Z]\w+|AWSAccessKeyId|GoogleAccessId|Key-Pair-Id|Policy=.*Signature)=|st=.*se=.{10}|sv=.{10}"
)
SMALLER_KEYS = {256}
"""Hexadecimal digits of a signature with a smaller RSA key, as which a longer one can pass if it is cut there."""


def problems(query: str, location: str | None = None) -> tuple[str, ...]:
    """Return what the check says, with the expiry that it says elsewhere."""
    encoded = base64.b64encode(query.encode()).decode()
    credentials = validate(HttpsCredentials, {"query_string": encoded, "encryption": None})
    found = credentials.problems(location)
    over = credentials.expires_at is not None and credentials.expires_at <= datetime.now(UTC)
    return (*found, "expired") if over else found


def halves(name: str) -> tuple[str, str]:
    location, _, query = signed_urls()[name].partition("?")
    return location, query


@pytest.mark.parametrize("name", NAMES)
def test_a_valid_query_has_no_problem(name):
    location, query = halves(name)
    assert [one for one in problems(query, location) if one != "expired"] == []
    assert Signature.of(query, location).obstacle(writing=False) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_parameter_is_a_problem(name):
    location, query = halves(name)
    pairs = query.split("&")
    for pair in pairs:
        parameter = pair.partition("=")[0].lower()
        found = problems("&".join(one for one in pairs if one is not pair), location)
        assert bool(found) == (parameter not in UNKNOWABLE) or "AWS's example" in name, (parameter, found)
        if found and "AWS's example" in name:
            assert found != ("expired",), parameter


@pytest.mark.parametrize("name", NAMES)
def test_a_lost_ampersand_is_a_problem(name):
    location, query = halves(name)
    for found in re.finditer("&", query):
        damaged = query[: found.start()] + query[found.end() :]
        if query[found.end() :].partition("=")[0].lower() not in UNKNOWABLE:
            assert any("the & before" in one for one in problems(damaged, location)), damaged
        else:  # it joins a value, whose form is known in most cases
            last = query[: found.start()].rpartition("&")[2].partition("=")[0].lower()
            assert problems(damaged, location) or last in UNKNOWABLE, damaged


@pytest.mark.parametrize("name", NAMES)
def test_a_query_that_is_cut_off_is_a_problem(name):
    location, query = halves(name)
    # From here on, the query shows whose it is; before, it could be that of any server.
    start = VENDOR.search(query).end()
    for end in range(start, len(query)):
        cut = query[:end]
        lost = {pair.partition("=")[0].lower() for pair in set(query.split("&")) - set(cut.split("&"))}
        if lost == {"key-pair-id"} and "&Key-Pair-Id=" in cut and not cut.endswith("="):
            continue  # the ids of keys have no fixed length
        if lost <= UNKNOWABLE.keys() or len(cut.partition("X-Goog-Signature=")[2]) in SMALLER_KEYS:
            continue
        assert problems(cut, location), cut


@pytest.mark.parametrize("name", NAMES)
def test_a_query_changed_as_a_whole_is_a_problem(name):
    location, query = halves(name)
    assert "separated by ;" in problems(query.replace("&", ";"), location)[0]
    assert "copied from JSON" in problems(query.replace("&", r"\u0026"), location)[0]
    assert "percent-encoded" in problems(query.replace("%", "%25").replace("&", "%26").replace("=", "%3D"), location)[0]
    if re.search(r"=[^&]*%(?!3A)", re.sub(r"response-[^&]*|content-type[^&]*", "", query)):
        assert "percent-encoded twice" in problems(query.replace("%", "%25"), location)[0]
    assert "more than once" in problems(f"{query}&{query}", location)[0]


def changed(query: str, name: str, value: str) -> str:
    done, times = re.subn(rf"(^|&){name}=[^&]*", rf"\g<1>{name}={value}", query)
    assert times == 1
    return done


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        (GOOD.replace("&", ""), "the & before X-Amz-Credential, X-Amz-Date"),
        (GOOD[:-20], "cut short: 44 of 64 hexadecimal digits"),
        (GOOD + "00", "too long: 66 of 64"),
        (GOOD[:-1] + "g", "other characters than hexadecimal"),
        (GOOD.partition("&X-Amz-Signature")[0], "the end of the query is missing, with the signature"),
        (GOOD.replace("%2F", "%252F"), "percent-encoded twice"),
        (changed(GOOD, "X-Amz-Expires", "604801"), "from 1 to 604800 seconds"),
        (changed(GOOD, "X-Amz-Expires", "0"), "from 1 to 604800 seconds"),
        (changed(GOOD, "X-Amz-Expires", "soon"), "not a number of seconds"),
        (changed(GOOD, "X-Amz-Date", "20990102"), "X-Amz-Date is not a time"),
        (changed(GOOD, "X-Amz-Algorithm", "AWS4-HMAC"), "X-Amz-Algorithm is none of"),
        (changed(GOOD, "X-Amz-Credential", "AKIDEXAMPLE"), "X-Amz-Credential does not end in"),
        (changed(GOOD, "X-Amz-SignedHeaders", "range"), "does not have host"),
        (changed(GOOD, "X-Amz-SignedHeaders", "host;x-amz-acl"), "the headers x-amz-acl, whose values are not known"),
        (changed(GOOD, "X-Amz-SignedHeaders", "host;content-md5"), r"fixes the object's checksum \(content-md5\)"),
        (GOOD.replace("AKID", "ASIA"), "has no session token"),
        (GOOD + "&AWSAccessKeyId=AKID&Signature=0a", "several signatures, X-Amz-Signature and Signature"),
        (GOOD + f"&{JAVASCRIPT}", r"the checksum of an empty body \(x-amz-checksum-crc32\)"),
        (GOOD + "&x-amz-checksum-sha256=" + "A" * 43 + "%3D", r"fixes the object's checksum \(x-amz-checksum-sha256\)"),
        (GOOD + "&partNumber=1&uploadId=a", "a part of a multipart upload"),
        (SAS.partition("&sig")[0], "sig, the signature, is missing"),
        (SAS.replace("0%3D", "%3D"), "is cut short: 43 of 44 characters"),
        (SAS.replace("sp=r", "sp=l"), "allow neither reading"),
        (SAS.replace("&sp=r", ""), "sp of a service SAS is missing"),
        (SAS.replace("&sr=b", ""), "sr is missing, or ss and srt"),
        (SAS.replace("sr=b", "ss=q&srt=o"), r"services \(ss\) do not include blobs"),
        (SAS.replace("sr=b", "ss=b&srt=sc"), "do not include objects"),
        (SAS + "&ss=b&srt=o", "has sr of a service SAS and ss or srt"),
        (SAS + "&st=2099-02-01", "ends .* before it starts"),
        (SAS + "&st=2098-02-01", "not valid before 2098-02-01 00:00:00 UTC"),
        (SAS + "&st=soon", "st is not a time"),
        (SAS + "&skoid=a", "sktid and skt and ske and sks and skv of a user delegation SAS are missing"),
        (SAS + "&comp=block", "another operation than reading or writing a blob"),
    ],
)
def test_a_problem_is_told(query, rule):
    found = problems(query)
    assert any(re.search(rule, one) for one in found), found
    assert not any(part in " ".join(found) for part in ("5ec2e7", "AKIDEXAMPLE"))


@pytest.mark.parametrize(
    ("query", "location", "rule"),
    [
        (GOOD, "https://clinic.s3.us-east-1.amazonaws.com/a", "signed for the region eu-west-1, .* is in us-east-1"),
        (GOOD, "https://clinic.blob.core.windows.net/ward/a", "at another vendor's storage"),
        (SAS, "https://clinic.s3.eu-west-1.amazonaws.com/a", "at another vendor's storage"),
        (SAS, "https://storage.googleapis.com/clinic/a", "at Google's storage"),
        (SAS + "&spr=https", "http://127.0.0.1:10000/clinic/ward/a", "allows only https"),
        (GOOD, "https://clinic.s3.eu-west-1.amazonaws.com/a", None),
        (GOOD, "https://clinic.s3.dualstack.eu-west-1.amazonaws.com/a", None),
        (GOOD, "https://clinic.s3.amazonaws.com/a", None),
        (GOOD, "https://minio.clinic.example/a", None),
        (SAS + "&spr=https", "https://clinic.blob.core.windows.net/ward/a", None),
    ],
)
def test_a_query_that_contradicts_its_location_is_a_problem(query, location, rule):
    found = problems(query, location)
    assert bool(found) == (rule is not None)
    assert rule is None or re.search(rule, " ".join(found))


@pytest.mark.parametrize(
    "query",
    [
        "token=abc",
        "sig=123",
        "expires=1767323045&signature=5ec2e7",
        "Expires=1&Signature=c2VjcmV0&OSSAccessKeyId=a",
        "st=1&se=2",
        "sr=1&sig=2",
        "a",
    ],
)
def test_a_query_of_no_known_vendor_has_no_problem(query):
    assert Signature.of(query).problems == ()
    assert Signature.of(f"{query}&acl&uploadId=1&content-md5=a").obstacle(writing=True) is None


PIECES = (*re.split("([&=])", GOOD), *re.split("([&=])", SAS), "%25", "%26", "&amp;", ";", r"\u0026", "", "X-Goog-")
PIECES += ("Policy", "Key-Pair-Id", "Signature", "AWSAccessKeyId", "GoogleAccessId", "x-amz-checksum-crc32", DIGITS)


@given(st.lists(st.sampled_from(PIECES) | st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=3)))
def test_any_query_is_diagnosed_without_its_digits(pieces):
    signature = Signature.of("".join(pieces), "https://clinic.s3.eu-west-1.amazonaws.com/a")
    said = [*signature.problems, *(signature.explanation(one) for one in ("GET", "PUT"))]
    said += [signature.obstacle(writing=one) or "" for one in (True, False)]
    assert "5ec2e7" not in " ".join(said)
    assert all(isinstance(one, str) for one in said)


@pytest.mark.parametrize("query", [GOOD, GOOD[:-20], SAS, SAS[:-20], f"{GOOD}&{JAVASCRIPT}", "a=b"])
def test_the_repr_holds_no_value(query):
    assert "5ec2e7" not in repr(Signature.of(query))
    assert "AAAAAA" not in repr(Signature.of(query))


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        (f"{GOOD}&{JAVASCRIPT}", "the checksum of an empty body"),
        (f"{GOOD}&content-md5=1B2M2Y8AsgTpgAmY7PhCfg%3D%3D", "the checksum of an empty body"),
        (f"{GOOD}&x-amz-checksum-crc32=c2VjcmV0", "fixes the object's checksum"),
        (changed(GOOD, "X-Amz-SignedHeaders", "host;x-amz-checksum-sha256"), "fixes the object's checksum"),
        (f"{GOOD}&X-Amz-Content-Sha256={'e3' * 32}", "fixes the SHA-256 of the body"),
        (f"{GOOD}&partNumber=1&uploadId=a", "a part of a multipart upload"),
    ],
)
def test_a_write_that_cannot_succeed_sends_nothing(origin, query, rule):
    fs = origin.fs(query)
    with pytest.raises(NotSupported, match=rule):
        fs.open_sink(fs.path)
    assert origin.connections == 0


def test_the_content_type_in_a_query_of_version_2_is_sent(origin, reply):
    origin.answer = lambda _: reply(200)
    fs = origin.fs(
        "AWSAccessKeyId=AK&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&content-type=text%2Fcsv&Expires=4070000000"
    )
    sink = fs.open_sink(fs.path)
    sink.write(memoryview(b"sealed"))
    sink.commit()
    assert origin.requests[0].headers["content-type"] == "text/csv"


@pytest.mark.parametrize("query", [GOOD + "&response-content-encoding=gzip", SAS + "&rsce=gzip"])
def test_a_content_encoding_that_the_query_chose_is_ignored(origin, query):
    origin.serve(b"sealed", **{"Content-Encoding": "gzip"})
    assert bytes(origin.source(query).read_range(0, 6)) == b"sealed"


def test_the_signed_checksum_mode_is_sent(origin):
    origin.serve(b"sealed")
    source = origin.source(changed(GOOD, "X-Amz-SignedHeaders", "host;x-amz-checksum-mode"))
    assert bytes(source.read_range(0, 6)) == b"sealed"
    assert origin.requests[0].headers["x-amz-checksum-mode"] == "ENABLED"


def refused(origin, reply, query: str, method: str, status: int = 403) -> str:
    origin.answer = lambda _: reply(status, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
    with pytest.raises((AccessDenied, StorageUnavailable)) as caught:
        if method == "GET":
            origin.source(query).read_range(0, 6)
        else:
            fs = origin.fs(query)
            sink = fs.open_sink(fs.path)
            try:
                sink.write(memoryview(b"sealed"))
                sink.commit()
            finally:
                sink.discard()
    assert "5ec2e7" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("query", "method", "rule"),
    [
        (GOOD[:-20], "GET", "the query: the signature, X-Amz-Signature, is cut short: 44 of 64"),
        (GOOD, "GET", "the query: it is not valid before 2099-01-02 03:04:05 UTC"),
        (GOOD.replace("F20990102", "F20990101"), "GET", "the date in its Credential is not that of its Date"),
        (GOOD + "&x-id=PutObject", "GET", r"signed for writing only \(x-id\)"),
        (GOOD + "&x-id=GetObject", "PUT", r"signed for reading only \(x-id\)"),
        (GOOD + "&x-id=CopyObject", "PUT", "signed for another operation"),
        (changed(GOOD, "X-Amz-SignedHeaders", "content-type;host"), "PUT", "application/octet-stream was sent"),
        (changed(GOOD, "X-Amz-SignedHeaders", "content-length;host"), "PUT", "the Content-Length is signed"),
        (GOOD + "&x-amz-sdk-checksum-algorithm=CRC32", "PUT", "demands a checksum"),
        ("AWSAccessKeyId=AK&Signature=0a&Expires=4070000000", "PUT", "version 2 also covers the Content-Type"),
        (SAS, "PUT", r"do not allow writing \(w\)"),
        (SAS.replace("sp=r", "sp=c"), "PUT", "allow creating an object"),
        (SAS.replace("sp=r", "sp=w"), "GET", r"do not allow reading \(r\)"),
        (SAS + "&sip=192.0.2.1", "GET", "only from certain IP addresses"),
    ],
)
def test_a_refusal_is_explained_by_the_query(origin, reply, query, method, rule):
    assert re.search(rule, refused(origin, reply, query, method))


def test_an_invalid_request_is_explained_by_the_query(origin, reply):
    query = GOOD.replace("X-Amz-Date=20990102T030405Z&", "")
    assert "400 SignatureDoesNotMatch" in refused(origin, reply, query, "GET", 400)
    assert "the query: X-Amz-Date is missing" in refused(origin, reply, query, "GET", 400)


def test_a_refusal_that_the_query_does_not_explain_is_as_before(origin, reply):
    assert "the query:" not in refused(origin, reply, SAS, "GET")


def test_a_policy_of_cloudfront_says_when_it_is_valid():
    signature = Signature.of(halves("CloudFront, custom")[1])
    hour = timedelta(hours=1)
    assert signature.expires_at is not None
    assert signature.starts_at is not None
    assert signature.expires_at - signature.starts_at == 2 * hour
    assert "certain IP addresses" in signature.explanation("GET")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["Statement", "Condition", "AWS:EpochTime"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["Statement", "Condition", "DateLessThan", "DateGreaterThan", "AWS:EpochTime"]), inner
        )
    ),
    max_leaves=8,
)


def with_policy(document: object) -> Signature:
    text = base64.b64encode(json.dumps(document).encode()).decode().translate(str.maketrans("+=/", "-_~"))
    return Signature.of(f"Policy={text}&Signature=0&Key-Pair-Id=K")


@given(JSON, JSON)
def test_any_policy_of_cloudfront_is_read(whole, condition):
    with_policy(whole)
    signature = with_policy({"Statement": [{"Condition": condition}]})
    assert signature.expires_at is None or signature.expires_at.tzinfo is UTC
    assert ("is not a policy" in " ".join(signature.problems)) == (not isinstance(condition, dict))


def test_a_location_that_is_no_url_adds_nothing():
    assert problems(GOOD, "https://[::1") == ()
