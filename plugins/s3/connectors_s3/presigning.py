"""Presigned URLs, which let their holder GET or PUT one object for a limited time without credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from connectors.errors import AccessDenied, ConfigError
from connectors_s3.hosts import Hosts
from connectors_s3.location import LOCATION
from connectors_s3.sessions import from_machine, open_session

if TYPE_CHECKING:
    from connectors.storage import BucketPlace
    from connectors_s3.credentials import S3Credentials

__all__ = ["presign"]


def presign(place: BucketPlace, credentials: S3Credentials, method: str, expires: int) -> str:
    """Return a URL that can GET or PUT the object for `expires` seconds; makes no request.

    The signature covers no header but the host, so any HTTP client can use the URL. If the credentials are temporary,
    the URL expires with them at the latest.

    Raises:
        ConfigError: the region to sign for is unknown.
        AccessDenied: the credentials are ambient, and the machine provides none.
    """
    session = from_machine(lambda: open_session(credentials))
    hosts = from_machine(lambda: Hosts(credentials, session))
    # S3 refuses a signature for another region than the bucket's, but only when the URL is used, maybe days later.
    if hosts.region is None:
        message = "credentials.region: required to presign URLs without an endpoint_url"
        raise ConfigError(message)
    found = from_machine(session.get_credentials)
    if found is None:
        where = LOCATION.shown(place.path)
        message = f"the credentials for {where} are ambient, but this machine provides none that work"
        raise AccessDenied(message)
    origin, base = hosts.place(place.bucket)
    url = f"{origin.scheme}://{origin.authority}{base}/{quote(place.key, safe='/~')}"
    request = AWSRequest(method, url)
    signer = S3SigV4QueryAuth(from_machine(found.get_frozen_credentials), "s3", hosts.region, expires=expires)
    signer.add_auth(request)
    signed: str = request.url
    return signed
