"""Credentials documents and locations: which are accepted, and what the errors for the others say."""

from __future__ import annotations

import base64
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from connectors.credentials.model import validate
from connectors.errors import InvalidCredentials, InvalidLocation
from connectors.storage.registry import backends, resolve
from connectors_https import HttpsBackend, HttpsCredentials, Signature, expiry
from connectors_https.location import Place

QUERY = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2f20260102%2Feu&X-Amz-Signature=0a+b%20c"
ENCODED = base64.b64encode(QUERY.encode()).decode()


def credentials(**members):
    return validate(HttpsCredentials, {"encryption": None, **members})


@pytest.mark.parametrize(
    "text",
    [
        ENCODED,
        ENCODED.rstrip("="),
        ENCODED + "\n",
        f"  {ENCODED}\r\n",
        "\n".join(ENCODED[start : start + 76] for start in range(0, len(ENCODED), 76)),
        base64.b64encode(QUERY.encode() + b"\n").decode(),
        base64.b64encode(QUERY.encode() + b"\n").decode().rstrip("=") + "\n",
    ],
)
def test_a_query_in_base64_is_accepted_as_people_write_it(text):
    assert credentials(query_string=text).query().reveal() == QUERY


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#?"), min_size=1))
def test_a_query_is_decoded_unchanged(query):
    # A query that looks like a common mistake in copying is refused.
    assume(not query.lower().startswith(("http://", "https://")))
    assume(query[0] not in "\"'" and "&amp;" not in query)
    encoded = base64.b64encode(query.encode()).decode()
    given = credentials(query_string=encoded)
    assert given.query().reveal() == query
    assert given.document()["query_string"] == encoded


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (QUERY, "this looks like the query itself"),
        ("", "is empty"),
        ("\n", "is empty"),
        ("====", "is empty"),
        ("Zm9v-", "replace - with . and _ with / in it"),
        ("Zm9vä", "contains characters that base64 does not have"),
        ("Zm9vZ", "part of it seems to be missing"),
        (base64.b64encode(b"?a=b").decode(), r"without the '\?' itself"),
        (base64.b64encode(b"https://host/a?b=c").decode(), "the rest of the URL belongs to the location"),
        (base64.b64encode(b"a=b c").decode(), "something else"),
        (base64.b64encode(b"a=b\r\nHost: evil").decode(), "something else"),
        (base64.b64encode(b"a=b#c").decode(), "something else"),
        (base64.b64encode(b"a=\x00").decode(), "something else"),
        (base64.b64encode("a=ä".encode()).decode(), "something else"),
        (base64.b64encode(b"\n").decode(), "something else"),
        (17, "text in quotation marks"),
    ],
)
def test_an_invalid_query_is_refused_and_not_shown(text, rule):
    with pytest.raises(InvalidCredentials, match=r"credentials\.query_string: .*" + rule) as caught:
        credentials(query_string=text)
    assert str(text).strip(" \n=") == "" or str(text) not in str(caught.value)
    assert caught.value.__context__ is None


def test_an_unsigned_url_needs_no_query():
    given = credentials()
    assert given.query() is None
    assert given.expires_at is None
    assert given.signature() == Signature("plain", None, frozenset())
    assert given.document() == {"encryption": None}
    assert credentials(query_string=None).query() is None


@pytest.mark.parametrize("value", ["true", 1, None])
def test_allow_http_must_be_a_boolean(value):
    with pytest.raises(InvalidCredentials, match=r"credentials\.allow_http"):
        credentials(allow_http=value)


@pytest.mark.parametrize(
    ("query", "flavour", "ends"),
    [
        ("X-Amz-Date=20260102T030405Z&X-Amz-Expires=3600&X-Amz-Signature=0", "s3", "2026-01-02T04:04:05"),
        ("x-amz-signature=0&x-amz-date=20260102T030405Z&x-amz-expires=1", "s3", "2026-01-02T03:04:06"),
        ("AWSAccessKeyId=AK&Expires=1767323045&Signature=a%2B", "s3", "2026-01-02T03:04:05"),
        ("X-Goog-Signature=0&X-Goog-Date=20260102T030405Z&X-Goog-Expires=60", "gcs", "2026-01-02T03:05:05"),
        ("GoogleAccessId=a%40b&Expires=1767323045&Signature=0", "gcs", "2026-01-02T03:04:05"),
        ("sv=2024-11-04&se=2026-01-02T03%3A04%3A05Z&sig=0", "azure", "2026-01-02T03:04:05"),
        ("sv=2024-11-04&se=2026-01-02T03:04Z&sig=0", "azure", "2026-01-02T03:04:00"),
        ("sv=2024-11-04&se=2026-01-02&sig=0", "azure", "2026-01-02T00:00:00"),
        ("sv=2024-11-04&se=2026-01-02T05:04:05+02:00&sig=0", "azure", "2026-01-02T03:04:05"),
        ("sv=2024-11-04&se=2026-01-02T03:04:05.1234567Z&sig=0", "azure", "2026-01-02T03:04:05.123456"),
        ("sv=2024-11-04&se=2026-01-03&ske=2026-01-02T03:00:00Z&sig=0", "azure", "2026-01-02T03:00:00"),
        ("sv=2024-11-04&si=policy&sig=0", "azure", None),
        ("Expires=1767323045&Signature=0&Key-Pair-Id=K", "plain", "2026-01-02T03:04:05"),
        ("Expires=1767323045", "plain", None),
        ("token=abc", "plain", None),
        ("", "plain", None),
        ("X-Amz-Date=yesterday&X-Amz-Expires=3600&X-Amz-Signature=0", "s3", None),
        ("X-Amz-Date=20260102T030405Z&X-Amz-Expires=soon&X-Amz-Signature=0", "s3", None),
        ("X-Amz-Date=20260102T030405Z&X-Amz-Signature=0", "s3", None),
        ("X-Amz-Date=99991231T235959Z&X-Amz-Expires=3600&X-Amz-Signature=0", "s3", None),
        ("X-Amz-Date=20260102T030405Z&X-Amz-Expires=-60&X-Amz-Signature=0", "s3", None),
        ("AWSAccessKeyId=AK&Expires=99999999999999999999&Signature=0", "s3", None),
        ("sv=2024-11-04&se=0001-01-01T00:00:00%2B23:00&sig=0", "azure", None),
        ("sv=2024-11-04&se=%ff%fe&sig=0", "azure", None),
        ("&&=&%", "plain", None),
    ],
)
def test_the_expiry_of_a_signature_is_read(query, flavour, ends):
    signature = Signature.of(query)
    assert signature.flavour == flavour
    assert signature.expires_at == (None if ends is None else datetime.fromisoformat(ends).replace(tzinfo=UTC))
    assert expiry(query) == signature.expires_at
    if query:
        assert credentials(query_string=base64.b64encode(query.encode()).decode()).expires_at == signature.expires_at


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)))
def test_any_query_has_an_expiry_or_none(text):
    for query in (text, f"sv=1&sig=0&se={text}", f"X-Amz-Signature=0&X-Amz-Date={text}&X-Amz-Expires={text}"):
        end = expiry(query)
        assert end is None or end.tzinfo is UTC


def test_signed_headers_are_read():
    query = "X-Amz-SignedHeaders=Host%3Bx-amz-acl%3Bbad%20name%3B&X-Amz-Signature=0"
    assert Signature.of(query).signed_headers == {"host", "x-amz-acl"}


@pytest.mark.parametrize(
    ("location", "host", "port", "path"),
    [
        ("https://clinic.example/a", "clinic.example", None, "/a"),
        ("HTTPS://clinic.example:8443/a/b", "clinic.example", 8443, "/a/b"),
        ("https://clinic.example:/a", "clinic.example", None, "/a"),
        ("https://[2001:db8::1]:9000/a", "[2001:db8::1]", 9000, "/a"),
        ("http://127.0.0.1:9000/a", "127.0.0.1", 9000, "/a"),
        ("http://127.8.9.10/a", "127.8.9.10", None, "/a"),
        ("http://[::1]/a", "[::1]", None, "/a"),
        ("http://LocalHost:1/a", "LocalHost", 1, "/a"),
        ("https://clinic.example/a@b:c", "clinic.example", None, "/a@b:c"),
    ],
)
def test_a_location_is_parsed(location, host, port, path):
    place = Place.of(location)
    assert (place.location, place.host, place.port, place.path) == (location, host, port, path)
    assert place.scheme == location.partition(":")[0].lower()


@pytest.mark.parametrize(
    ("location", "rule"),
    [
        ("https://clinic.example/a?sesame", "query_string"),
        ("https://clinic.example/a?", "query_string"),
        ("https://clinic.example/a#sesame", "fragment"),
        ("https://ann:sesame@clinic.example/a", "user"),
        ("https://sesame@clinic.example/a", "user"),
        ("https://clinic.example", "names no object"),
        ("https://clinic.example/", "names no object"),
        ("https://clinic.example//", "names no object"),
        ("https:///a", "host"),
        ("https://:443/a", "host"),
        ("https://clinic.example:sesame/a", "not a URL"),
        ("https://clinic.example:99999/a", "not a URL"),
        ("https://[::1/a", "not a URL"),
        ("https://klinik-köln.example/a", "host"),
        ("https://clinic example/a", "host"),
        ("https://clinic.example/a\r\nb", "control character"),
        ("https://clinic.example/a\n", "control character"),
        ("https://clinic.example\t/a", "control character"),
        ("ftp://clinic.example/a", "another scheme"),
        ("http://clinic.example/a", "allow_http"),
        ("http://10.0.0.1/a", "allow_http"),
        ("http://127.0.0.1.clinic.example/a", "allow_http"),
        ("http://2130706433/a", "allow_http"),
        ("http://localhost.example/a", "allow_http"),
        ("http://0.0.0.0/a", "allow_http"),
    ],
)
def test_an_invalid_location_is_refused(location, rule):
    with pytest.raises(InvalidLocation, match=rule) as caught:
        Place.of(location)
    assert "sesame" not in str(caught.value) or "clinic.example:sesame" in location
    assert caught.value.__context__ is None


def test_http_to_other_hosts_is_allowed_by_allow_http():
    given = credentials(allow_http=True)
    fs, path = HttpsBackend().connect("http://clinic.example/a", given)
    assert path == fs.path == "http://clinic.example/a"


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_the_backend_is_found_by_scheme_and_by_type(scheme):
    document = {"query_string": ENCODED, "encryption": None}
    for one in (document, {"type": "https", **document}):
        backend, found = resolve(f"{scheme}://127.0.0.1/a", one)
        assert type(backend) is HttpsBackend
        assert type(found) is HttpsCredentials
    [installed] = [one for one in backends() if one.name == "https"]
    assert installed.distribution == "enclave-connectors-https"
    assert installed.problem is None


def test_importing_the_package_loads_no_http_library():
    code = (
        "import sys, connectors_https; print('connectors.storage.http.client' in sys.modules); "
        "connectors_https.PresignedFileSystem; print('connectors.storage.http.client' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["False", "True"]
