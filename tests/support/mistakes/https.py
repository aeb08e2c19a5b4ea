"""Presigned URLs, SAS URLs and open ones."""

from __future__ import annotations

import base64

from mistakes import ABSENT, KEY, Mistake, location, member

QUERY = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20990102%2Feu-west-1%2Fs3%2Faws4_request"
    "&X-Amz-Date=20990102T030405Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host"
    f"&X-Amz-Signature={'5ec2e75ec2e7' * 5}5ec2"
)
SAS = "sv=2024-11-04&se=2099-01-02T03%3A04%3A05Z&sr=b&sp=r"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


DOCUMENT = {"query_string": encoded(QUERY), "encryption": {"key": KEY}}
PLACE = "https://clinic.example/conditions.sealed"

MISTAKES: list[Mistake] = [
    member(
        DOCUMENT,
        PLACE,
        {"query_string": QUERY},
        "credentials.query_string: must be the URL's query in base64; this looks like the query itself",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": f"?{QUERY}"},
        "credentials.query_string: must be the URL's query in base64; this looks like the query itself",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": f"https://clinic.example/x?{QUERY}"},
        "credentials.query_string: must be the URL's query alone, in base64; this is the whole URL",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": encoded(f"?{QUERY}")},
        "credentials.query_string: must be the base64 of what follows the '?', without the '?' itself",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": encoded(f"https://clinic.example/x?{QUERY}")},
        "credentials.query_string: must be the base64 of the URL's query alone; the rest of the URL belongs to the location",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": encoded(encoded(QUERY))},
        "credentials.query_string: must be the URL's query in base64; it is in base64 twice",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": encoded(QUERY.replace("&", "&amp;"))},
        "credentials.query_string: must be the base64 of a URL's query; it was copied from HTML, with &amp; in place of &",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": encoded(f'"{QUERY}"')},
        "credentials.query_string: must be the base64 of a URL's query, without the quotation marks around it",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": encoded(f" {QUERY}")},
        "credentials.query_string: must be the base64 of a URL's query: printable ASCII without white space and '#'; it decodes to something else",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": encoded(QUERY)[:-3]},
        "credentials.query_string: must be the URL's query in base64; part of it seems to be missing",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": base64.urlsafe_b64encode(b"\xff\xfe>>>???" + QUERY.encode()).decode()},
        "credentials.query_string: must be the URL's query in base64; replace - with + and _ with / in it",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": ""},
        "credentials.query_string: is empty; if the URL has no query, leave this out or use null",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": "<base64>"},
        "credentials.query_string: must be the URL's query in base64; it contains characters that base64 does not have",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": 7},
        "credentials.query_string: text in quotation marks is expected",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": encoded(QUERY[:-20])},
        "credentials.query_string: the signature, X-Amz-Signature, is cut short: 44 of 64 hexadecimal digits; copy the URL again",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": encoded(QUERY.partition("&X-Amz-Signature")[0])},
        "credentials.query_string: the end of the query is missing, with the signature: S3's signature of version 4 also has X-Amz-Signature; copy the URL again",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": encoded(QUERY.replace("&X-Amz-Date", "X-Amz-Date"))},
        "credentials.query_string: the & before X-Amz-Date was lost; copy the URL again",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": encoded(QUERY.replace("&", ";"))},
        "credentials.query_string: its parameters are separated by ; instead of &; copy the URL again",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": encoded(QUERY.replace("&", r"\u0026"))},
        r"credentials.query_string: it was copied from JSON, with \u0026 in place of &; copy the URL again",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": encoded(QUERY.replace("%2F", "%252F"))},
        "credentials.query_string: it is percent-encoded twice, with %25 in place of % in X-Amz-Credential; copy the URL again",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": encoded(QUERY.replace("AKID", "ASIA"))},
        "credentials.query_string: it was signed with a temporary access key, but has no session token (X-Amz-Security-Token); copy the URL again, or sign it again with the token",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": encoded(QUERY + "&x-amz-checksum-crc32=AAAAAA%3D%3D&x-id=PutObject")},
        "credentials.query_string: the query demands the checksum of an empty body (x-amz-checksum-crc32), as some SDKs sign by mistake, so the storage would refuse every object but an empty one; get a URL signed without a checksum (AWS SDK for JavaScript: requestChecksumCalculation 'WHEN_REQUIRED'; for Python: request_checksum_calculation='when_required')",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": encoded(SAS)},
        "credentials.query_string: sig, the signature, is missing; copy the URL again, to its end",
        secret=True,
    ),
    member(DOCUMENT, PLACE, {"query_string": f"{encoded(QUERY)}\n"}, None, secret=True),
    member(DOCUMENT, PLACE, {"query_string": encoded(QUERY).rstrip("=")}, None, secret=True),
    member(DOCUMENT, PLACE, {"query_string": encoded(f"{QUERY}\n")}, None, secret=True),
    member(
        DOCUMENT,
        PLACE,
        {"querystring": encoded(QUERY), "query_string": ABSENT},
        "credentials.querystring: unknown member; did you mean query_string?",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query": encoded(QUERY), "query_string": ABSENT},
        "credentials.query: unknown member; known members: allow_http, encryption, layout, query_string, type",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"url": "https://clinic.example/x"},
        "credentials.url: unknown member; known members: allow_http, encryption, layout, query_string, type",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"allow_http": "true"},
        "credentials.allow_http: true or false, without quotation marks, is expected",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"type": "http"},
        "no installed backend serves the credentials type 'http'; did you mean https?",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": ABSENT, "sas_token": "sv=2024-11-04&sig=hushhush"},
        "the credentials are for a location that begins with az://, and this one is https://…; correct one of them",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"query_string": ABSENT, "access_key_id": "AKIDEXAMPLE", "secret_access_key": "hushhush"},
        "the credentials are for a location that begins with s3://, and this one is https://…; correct one of them",
        secret=True,
    ),
    location(
        DOCUMENT,
        "http://clinic.example/x",
        'http://clinic.example/x would send the signed query unencrypted; use https://, or add "allow_http": true to the credentials if the network really is private',
    ),
    location(
        DOCUMENT,
        f"https://clinic.example/x?{QUERY}",
        "the location 'https://clinic.example/x?…' has a query; keep only the part before the '?', and put the rest, in base64, into the credentials' query_string",
        secrets=("5ec2e75ec2e7",),
    ),
    location(
        DOCUMENT,
        "https://clinic.example",
        "the location 'https://clinic.example' names no object; a path is expected after the host",
    ),
    location(
        DOCUMENT,
        "https://clinic.example/wards/",
        'https://clinic.example/wards/ is a folder, but a URL is for one object: use the storage\'s own backend; if this really is the name of an object, add "layout": "object" to the credentials',
    ),
    location(
        DOCUMENT,
        "clinic.example/x",
        "the location 'clinic.example/x' is not a URL; write it with its scheme, as in s3://bucket/key",
    ),
    location(
        DOCUMENT,
        "www.clinic.example/x",
        "the location 'www.clinic.example/x' is not a URL; write it with its scheme, as in s3://bucket/key",
    ),
    location(
        DOCUMENT,
        "https:/clinic.example/x",
        "the location 'https:/clinic.example/x' is not a URL; it must begin with https://, with two slashes",
    ),
    location(
        DOCUMENT,
        "https:///clinic.example/x",
        "the location 'https:///clinic.example/x' names no host; one is expected after the two slashes",
    ),
    location(
        DOCUMENT,
        "https://anna:hunter2@clinic.example/x",
        "the location 'https://clinic.example/x' contains a user; only signed and unsigned URLs are supported",
        secrets=("hunter2",),
    ),
    location(
        DOCUMENT,
        "https://clinic.example/a#b",
        "the location 'https://clinic.example/a' has a fragment; write a '#' in the object's name as %23",
    ),
    location(
        DOCUMENT,
        "https://klinik-köln.example/x",
        "the location 'https://klinik-köln.example/x' has an invalid host; write it in ASCII, as in DNS",
    ),
    location(
        DOCUMENT,
        "https://clinic.example:port/x",
        "the location 'https://…' is not a URL; a host, an optional port and a path are expected",
    ),
    location(
        DOCUMENT,
        "https://clinic.example:99999/x",
        "the location 'https://clinic.example:99999/x' is not a URL; a host, an optional port and a path are expected",
    ),
    location(
        DOCUMENT,
        " https://clinic.example/x",
        "the location ' https://clinic.example/x' is not a URL; leave out the white space and the quotation marks around it",
    ),
    location(
        DOCUMENT, "https://clinic.example/x ", "the location 'https://clinic.example/x ' has white space at its end"
    ),
    location(
        DOCUMENT,
        "https://clinic.example/x\n",
        "the location 'https://clinic.example/x\\n' contains a control character or a line break",
    ),
    location(
        DOCUMENT, "htttps://clinic.example/x", "no installed backend serves the scheme 'htttps'; did you mean https?"
    ),
    location(
        DOCUMENT,
        "https://clinic.example\\x",
        "the location 'https://clinic.example\\\\x' names no object; a path is expected after the host",
    ),
    location(
        DOCUMENT,
        "s3://clinic/x",
        "the credentials are for a location that begins with https://, and this one is s3://…; correct one of them",
    ),
]
