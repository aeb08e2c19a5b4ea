"""S3 and compatible stores."""

from __future__ import annotations

from mistakes import ABSENT, KEY, Mistake, location, member

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
DOCUMENT = {
    "access_key_id": "AKIDEXAMPLE",
    "secret_access_key": SECRET,
    "region": "eu-west-1",
    "encryption": {"key": KEY},
}
PLACE = "s3://clinic/conditions.sealed"

MISTAKES: list[Mistake] = [
    member(
        DOCUMENT,
        PLACE,
        {"access_key_id": SECRET, "secret_access_key": "AKIAIOSFODNN7EXAMPLE"},
        "credentials: access_key_id and secret_access_key are swapped: the ID begins with AKIA or ASIA",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"secret_access_key": f"{SECRET}\n"},
        "credentials.secret_access_key: contains white space or other characters that are not allowed here",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"secret_access_key": f" {SECRET}"},
        "credentials.secret_access_key: contains white space or other characters that are not allowed here",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"secret_access_key": f'"{SECRET}"'},
        "credentials.secret_access_key: has quotation marks in addition to those of JSON; remove them",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"secret_access_key": ""},
        "credentials.secret_access_key: empty; leave it out if there is none",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"secret_access_key": None},
        "credentials: access_key_id and secret_access_key go together; secret_access_key is missing",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"secret_access_key": ABSENT},
        "credentials: access_key_id and secret_access_key go together; secret_access_key is missing",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"access_key_id": ABSENT},
        "credentials: access_key_id and secret_access_key go together; access_key_id is missing",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"access_key_id": ABSENT, "secret_access_key": ABSENT},
        'credentials: access_key_id and secret_access_key are missing; for a public object add "anonymous": true, for the credentials that this machine provides "ambient": true',
    ),
    member(DOCUMENT, PLACE, {"access_key_id": ""}, "credentials.access_key_id: empty; leave it out if there is none"),
    member(DOCUMENT, PLACE, {"access_key_id": 7}, "credentials.access_key_id: text in quotation marks is expected"),
    member(
        DOCUMENT,
        PLACE,
        {"access_key": "AKIDEXAMPLE", "access_key_id": ABSENT},
        "credentials.access_key: unknown member; did you mean access_key_id?",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"aws_secret_access_key": SECRET, "secret_access_key": ABSENT},
        "credentials.aws_secret_access_key: unknown member; did you mean secret_access_key?",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"secret_acess_key": SECRET, "secret_access_key": ABSENT},
        "credentials.secret_acess_key: unknown member; did you mean secret_access_key?",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"SecretAccessKey": SECRET, "secret_access_key": ABSENT},
        "credentials.SecretAccessKey: unknown member; did you mean secret_access_key?",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"access_key_id": "ASIAIOSFODNN7EXAMPLE"},
        "credentials: session_token is missing; an access_key_id that begins with ASIA needs it",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"session_token": "two words"},
        "credentials.session_token: contains white space or other characters that are not allowed here",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"session_token": "hushhush", "access_key_id": ABSENT, "secret_access_key": ABSENT},
        'credentials: access_key_id and secret_access_key are missing; for a public object add "anonymous": true, for the credentials that this machine provides "ambient": true',
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"region": "eu-west-1a"},
        "credentials: region: this is an availability zone; remove the letter at the end",
    ),
    member(DOCUMENT, PLACE, {"region": "EU-West-1"}, "credentials.region: not the name of a region, such as eu-west-1"),
    member(
        DOCUMENT,
        PLACE,
        {"region": "Europe (Ireland)"},
        "credentials.region: not the name of a region, such as eu-west-1",
    ),
    member(DOCUMENT, PLACE, {"region": "eu_west_1"}, "credentials.region: not the name of a region, such as eu-west-1"),
    member(DOCUMENT, PLACE, {"region": ""}, "credentials.region: not the name of a region, such as eu-west-1"),
    member(
        DOCUMENT,
        PLACE,
        {"region": "s3.eu-west-1.amazonaws.com"},
        "credentials.region: not the name of a region, such as eu-west-1",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"endpoint_url": "s3.example.org"},
        "credentials.endpoint_url: an endpoint is a URL such as https://s3.example.org",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"endpoint_url": "http://store.internal"},
        'credentials: endpoint_url: http:// is not encrypted; use https://, or set "allow_http": true',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"endpoint_url": "https://store.example/?x"},
        "credentials.endpoint_url: an endpoint has no user information, query or fragment; credentials go into their own members",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"endpoint_url": "https://anna:hunter2hunter2@store.example"},
        "credentials.endpoint_url: an endpoint has no user information, query or fragment; credentials go into their own members",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"endpoint_url": " https://store.example"},
        "credentials.endpoint_url: not a URL: it contains white space, a backslash or another character that URLs cannot have",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"endpoint": "https://store.example"},
        "credentials.endpoint: unknown member; did you mean endpoint_url?",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"path_style": "true"},
        "credentials.path_style: true or false, without quotation marks, is expected",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"anonymous": "true", "access_key_id": ABSENT, "secret_access_key": ABSENT},
        "credentials.anonymous: true or false, without quotation marks, is expected",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"anonymous": True},
        "credentials: give exactly one of access_key_id (with secret_access_key), anonymous and ambient",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"ambient": True},
        "credentials: give exactly one of access_key_id (with secret_access_key), anonymous and ambient",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"profile": "clinic"},
        'credentials: profile names credentials of this machine, so it needs "ambient": true',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"server_side_encryption": "AES-256"},
        "credentials.server_side_encryption: 'AES256', 'aws:kms' or 'aws:kms:dsse' is expected",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"kms_key_id": "arn:aws:kms:…"},
        'credentials: kms_key_id needs "server_side_encryption": "aws:kms"',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"bucket": "clinic"},
        "credentials.bucket: unknown member; known members: access_key_id, acl, allow_http, ambient, anonymous, customer_key, encryption, endpoint_url, kms_key_id, layout, part_size, path_style, profile, region, requester_pays, secret_access_key, server_side_encryption, session_token, storage_class, type",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"encryption": ABSENT},
        'credentials.encryption: required; if the dataset really is not encrypted, set "encryption": null',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"type": "aws"},
        "no installed backend serves the credentials type 'aws'; installed: azure, file, gcs, https, memory, s3, sftp",
    ),
    location(DOCUMENT, "s3://", "the location 's3://' is not a URL; add what it refers to, as in s3://bucket/key"),
    location(
        DOCUMENT, "s3:///x", "a location in S3 is s3://bucket/key, and 's3:///x' is not: it does not name a bucket"
    ),
    location(
        DOCUMENT,
        "s3://clinic",
        "a location in S3 is s3://bucket/key, and 's3://clinic' is not: it does not name a key; for the whole bucket, put a slash at the end",
    ),
    location(
        DOCUMENT, "s3:/clinic/x", "the location 's3:/clinic/x' is not a URL; it must begin with s3://, with two slashes"
    ),
    location(
        DOCUMENT, "s3:clinic/x", "the location 's3:clinic/x' is not a URL; it must begin with s3://, with two slashes"
    ),
    location(
        DOCUMENT,
        "s3://my bucket/x",
        "a location in S3 is s3://bucket/key, and 's3://my bucket/x' is not: its bucket has an invalid name; use letters, digits, dots, hyphens and underscores",
    ),
    location(
        DOCUMENT,
        "s3://clinic/a/../x",
        "a location in S3 is s3://bucket/key, and 's3://clinic/a/../x' is not: its key contains a segment . or ..",
    ),
    location(
        DOCUMENT,
        "s3://c/x",
        "a location in S3 is s3://bucket/key, and 's3://c/x' is not: its bucket has an invalid name; use letters, digits, dots, hyphens and underscores",
    ),
    location(
        DOCUMENT,
        "s3://clinic.s3.eu-west-1.amazonaws.com/x",
        "a location in S3 is s3://bucket/key, and 's3://clinic.s3.eu-west-1.amazonaws.com/x' is not: it has a host in place of the bucket; use only the bucket's name",
    ),
    location(
        DOCUMENT,
        "https://clinic.s3.amazonaws.com/x",
        "the credentials are for a location that begins with s3://, and this one is https://…; correct one of them",
    ),
    location(
        DOCUMENT,
        "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/clinic/x",
        "a location in S3 is s3://bucket/key, and 's3://…' is not: it names an access point by its ARN; use the access point's alias in place of the bucket",
    ),
    location(
        DOCUMENT,
        "arn:aws:s3:::clinic/x",
        "the location 'arn:aws:s3:::clinic/x' is not a URL; write it with its scheme, as in s3://bucket/key",
    ),
    location(
        DOCUMENT,
        "s3://AKIDEXAMPLE:hushhush@clinic/x",
        "a location in S3 is s3://bucket/key, and 's3://clinic/x' is not: it contains user information; put that into the credentials document",
        secrets=("hushhush",),
    ),
    location(DOCUMENT, "s3a://clinic/x", "no installed backend serves the scheme 's3a'; did you mean s3?"),
    location(
        DOCUMENT, "clinic/x", "the location 'clinic/x' is not a URL; write it with its scheme, as in s3://bucket/key"
    ),
    location(
        DOCUMENT,
        "s3://clinic\\x",
        "a location in S3 is s3://bucket/key, and 's3://clinic\\\\x' is not: its bucket has an invalid name; use letters, digits, dots, hyphens and underscores",
    ),
    location(
        DOCUMENT,
        "s3://clinic?x/y",
        "a location in S3 is s3://bucket/key, and 's3://clinic?…' is not: its bucket has an invalid name; use letters, digits, dots, hyphens and underscores",
    ),
]
