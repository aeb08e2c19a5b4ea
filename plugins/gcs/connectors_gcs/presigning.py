"""Presigned URLs, which let their holder GET or PUT one object for a limited time without credentials.

Cloud Storage documentation, "Signing URLs with your own program" and "Canonical requests": V4, signed with the private
key of a service account.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from connectors.errors import NotSupported
from connectors_gcs.location import GOOGLE
from connectors_gcs.login import load_key

if TYPE_CHECKING:
    from connectors.storage import BucketPlace
    from connectors_gcs.credentials import GcsCredentials

__all__ = ["presign"]

ALGORITHM = "GOOG4-RSA-SHA256"


def presign(
    place: BucketPlace, credentials: GcsCredentials, method: str, expires: int, *, now: datetime | None = None
) -> str:
    """Return a URL that can GET or PUT the object for `expires` seconds; makes no request.

    The signature covers no header but the host, so any HTTP client can use the URL.

    Args:
        place: the object's.
        credentials: a service account's.
        method: GET or PUT.
        expires: seconds.
        now: the start of the URL's validity, if not the current time.

    Raises:
        NotSupported: the credentials are not a service account's key.
    """
    account = credentials.service_account
    signer = load_key(account.private_key) if account else None
    if account is None or signer is None:
        message = "only a service_account can sign URLs; token, anonymous and ambient credentials have no private key"
        raise NotSupported(message)
    time = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{time[:8]}/auto/storage/goog4_request"
    # The signature covers the Host header, which clients send in lower case.
    endpoint = (credentials.endpoint_url or GOOGLE).rstrip("/").lower()
    resource = f"/{place.bucket}/{quote(place.key, safe='/~')}"
    members = {
        "X-Goog-Algorithm": ALGORITHM,
        "X-Goog-Credential": f"{account.client_email}/{scope}",
        "X-Goog-Date": time,
        "X-Goog-Expires": str(expires),
        "X-Goog-SignedHeaders": "host",
    }
    if credentials.billed_project:
        members["userProject"] = credentials.billed_project
    query = urlencode(sorted(members.items()), quote_via=quote, safe="~")
    request = "\n".join((method, resource, query, f"host:{urlsplit(endpoint).netloc}", "", "host", "UNSIGNED-PAYLOAD"))
    signed = "\n".join((ALGORITHM, time, scope, hashlib.sha256(request.encode()).hexdigest()))
    signature = signer.sign(signed.encode(), PKCS1v15(), SHA256()).hex()
    return f"{endpoint}{resource}?{query}&X-Goog-Signature={signature}"
