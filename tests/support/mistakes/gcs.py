"""Google Cloud Storage."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mistakes import ABSENT, KEY, Mistake, location, member

_PRIVATE = generate_private_key(65537, 2048)
PEM = _PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC = _PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def account(**changes: Any) -> dict[str, Any]:
    whole = {
        "type": "service_account",
        "private_key": PEM,
        "client_email": "reader@clinic.iam.gserviceaccount.com",
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not ABSENT}


DOCUMENT = {"service_account": account(), "encryption": {"key": KEY}}
PLACE = "gs://clinic/conditions.sealed"

MISTAKES: list[Mistake] = [
    member(
        DOCUMENT,
        PLACE,
        {"service_account": account(private_key=PUBLIC)},
        "credentials.service_account.private_key: this is a public key; copy the private key from Google's file",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_account": account(private_key=PEM.replace("\n", "\\n"))},
        "credentials.service_account.private_key: its line ends are escaped twice: in JSON a line end is \\n, with one backslash",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_account": account(private_key="\n".join(PEM.split("\n")[1:-2]))},
        "credentials.service_account.private_key: not an RSA private key in PEM; copy it from Google's file unchanged, from BEGIN to END",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_account": account(private_key=PEM[:600])},
        "credentials.service_account.private_key: not an RSA private key in PEM; copy it from Google's file unchanged, from BEGIN to END",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_account": account(private_key="")},
        "credentials.service_account.private_key: not an RSA private key in PEM; copy it from Google's file unchanged, from BEGIN to END",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_account": account(private_key=ABSENT)},
        "credentials.service_account.private_key: required",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_account": account(client_email="reader")},
        "credentials.service_account.client_email: not an account's name, such as reader@project.iam.gserviceaccount.com",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_account": account(client_email=ABSENT)},
        "credentials.service_account.client_email: required",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_account": account(type="authorized_user")},
        "credentials.service_account.type: 'service_account' is expected",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_account": account(token_uri="http://oauth2.googleapis.com/token")},
        "credentials: service_account.token_uri: not https://oauth2.googleapis.com/token",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_account": account(clientEmail="x", client_email=ABSENT)},
        "credentials.service_account.clientEmail: unknown member; did you mean client_email?",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_account": account(refresh_token="hushhush")},
        "credentials.service_account.refresh_token: unknown member; known members: auth_provider_x509_cert_url, auth_uri, client_email, client_id, client_x509_cert_url, private_key, private_key_id, project_id, token_uri, type, universe_domain",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_account": "/home/anna/key.json"},
        "credentials.service_account: an object, in braces and without quotation marks around it, is expected",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_account": json.dumps(account())},
        "credentials.service_account: an object, in braces and without quotation marks around it, is expected",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_account": ABSENT},
        'credentials: service_account or token is missing; for a public object add "anonymous": true, for the credentials that this machine provides "ambient": true',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_acount": account(), "service_account": ABSENT},
        "credentials.service_acount: unknown member; did you mean service_account?",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_account": ABSENT, **account()},
        "no installed backend serves the credentials type 'service_account'; installed: azure, file, gcs, https, memory, s3, sftp",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_account": ABSENT, "token": "Bearer ya29.hushhush"},
        "credentials.token: leave out the word Bearer and the white space before the token",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_account": ABSENT, "token": "ya29.hushhush\n"},
        "credentials.token: contains white space or other characters that are not allowed here",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"service_account": ABSENT, "token": ""},
        "credentials.token: empty; leave it out if there is none",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"token": "ya29.hushhush"},
        "credentials: give exactly one of service_account, token, anonymous and ambient",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"access_token": "ya29.hushhush", "service_account": ABSENT},
        "credentials.access_token: unknown member; known members: allow_http, ambient, anonymous, encryption, endpoint_url, layout, project, requester_pays, service_account, token, type",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"api_key": "AIzahushhush", "service_account": ABSENT},
        "credentials.api_key: unknown member; known members: allow_http, ambient, anonymous, encryption, endpoint_url, layout, project, requester_pays, service_account, token, type",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"project": "Our Project"},
        "credentials.project: not a project's id, such as clinic-data-4711",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"endpoint_url": "storage.googleapis.com"},
        "credentials.endpoint_url: an endpoint is a URL such as https://storage.example.org",
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
        {"endpoint_url": "https://storage.googleapis.com/storage/v1"},
        "credentials.endpoint_url: an endpoint has no path, only a scheme, a host and a port",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"requester_pays": "yes"},
        "credentials.requester_pays: true or false, without quotation marks, is expected",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"anonymous": True},
        "credentials: give exactly one of service_account, token, anonymous and ambient",
    ),
    member(DOCUMENT, PLACE, {"type": "gs"}, "no installed backend serves the credentials type 'gs'; did you mean gcs?"),
    member(
        DOCUMENT,
        PLACE,
        {"type": "google"},
        "no installed backend serves the credentials type 'google'; installed: azure, file, gcs, https, memory, s3, sftp",
    ),
    location(DOCUMENT, "gs://", "the location 'gs://' is not a URL; add what it refers to, as in s3://bucket/key"),
    location(
        DOCUMENT,
        "gs://clinic",
        "a location in Google Cloud Storage is gs://bucket/key, and 'gs://clinic' is not: it does not name a key; for the whole bucket, put a slash at the end",
    ),
    location(
        DOCUMENT,
        "gs:///x",
        "a location in Google Cloud Storage is gs://bucket/key, and 'gs:///x' is not: it does not name a bucket",
    ),
    location(
        DOCUMENT, "gs:/clinic/x", "the location 'gs:/clinic/x' is not a URL; it must begin with gs://, with two slashes"
    ),
    location(
        DOCUMENT,
        "gs://Clinic/x",
        "a location in Google Cloud Storage is gs://bucket/key, and 'gs://Clinic/x' is not: its bucket has an invalid name; use lower-case letters, digits, dots, hyphens and underscores",
    ),
    location(
        DOCUMENT,
        "gs://my bucket/x",
        "a location in Google Cloud Storage is gs://bucket/key, and 'gs://my bucket/x' is not: its bucket has an invalid name; use lower-case letters, digits, dots, hyphens and underscores",
    ),
    location(
        DOCUMENT,
        "gs://clinic/a/../x",
        "a location in Google Cloud Storage is gs://bucket/key, and 'gs://clinic/a/../x' is not: its key contains a segment . or ..",
    ),
    location(
        DOCUMENT,
        "https://storage.googleapis.com/clinic/x",
        "the credentials are for a location that begins with gs://, and this one is https://…; correct one of them",
    ),
    location(
        DOCUMENT,
        "gs://storage.googleapis.com/clinic/x",
        "a location in Google Cloud Storage is gs://bucket/key, and 'gs://storage.googleapis.com/clinic/x' is not: it has a host in place of the bucket; the bucket is what follows the host",
    ),
    location(
        DOCUMENT,
        "google://clinic/x",
        "no installed backend serves the scheme 'google'; installed: abfs, abfss, az, azure, file, gcs, gs, http, https, memory, s3, sftp, ssh",
    ),
    location(
        DOCUMENT,
        "gs://anna:hushhush@clinic/x",
        "a location in Google Cloud Storage is gs://bucket/key, and 'gs://clinic/x' is not: it contains user information; put that into the credentials document",
        secrets=("hushhush",),
    ),
]
