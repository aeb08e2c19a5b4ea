"""Presigned URLs: whoever has one can GET or PUT one object, for a while, without credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.session import Session

from connectors.errors import ConfigError, InvalidLocation, NotSupported
from connectors.secrets import redact_url
from connectors_s3.error_mapping import attempt
from connectors_s3.location import split_location
from connectors_s3.sessions import client_config, open_session, region

if TYPE_CHECKING:
    from connectors_s3.credentials import S3Credentials

__all__ = ["MAX_EXPIRES", "presign"]

MAX_EXPIRES = 7 * 24 * 3600
"""Seconds a URL can live at most: Amazon S3 API Reference, "Authenticating requests: using query parameters"."""

_OPERATIONS = {"GET": "get_object", "PUT": "put_object"}


def presign(location: str, credentials: S3Credentials, method: str, expires: int) -> str:
    """Return a URL that GETs or PUTs the object for `expires` seconds; no request is made.

    Only the host is signed, so any HTTP client can use it. Temporary credentials end it earlier when they end.

    Raises:
        ConfigError: `expires` is not between 1 and 604,800, or no region is known to sign for.
        NotSupported: another method, or credentials that sign nothing.
        InvalidLocation: the location is none of S3's.
        AccessDenied: the credentials are ambient, and there are none.
    """
    bucket, key = split_location(location)
    if not key or key.endswith("/"):
        message = f"{redact_url(location)} is a folder; a URL is presigned for one object"
        raise InvalidLocation(message)
    operation = _OPERATIONS.get(method.upper())
    if operation is None:
        message = f"S3 URLs are presigned for GET or PUT, not for {method}"
        raise NotSupported(message)
    if isinstance(expires, bool) or not isinstance(expires, int) or not 1 <= expires <= MAX_EXPIRES:
        message = f"a presigned URL lives 1 to {MAX_EXPIRES} seconds, not {expires}"
        raise ConfigError(message)
    if credentials.anonymous:
        message = "anonymous credentials sign no URLs, and a public object needs none"
        raise NotSupported(message)
    return attempt(f"{bucket}/{key}", "read", lambda: _sign(bucket, key, credentials, operation, expires))


def _sign(bucket: str, key: str, credentials: S3Credentials, operation: str, expires: int) -> str:
    session = open_session(Session, credentials)
    # A signature for another region than the bucket's is refused, when somebody else uses the URL, days from now.
    signed_for = region(credentials) or (session.get_config_variable("region") if credentials.ambient else None)
    if signed_for is None:
        message = "credentials.region: needed to presign URLs where there is no endpoint_url"
        raise ConfigError(message)
    config = Config(**client_config(credentials))
    if config.s3["addressing_style"] == "auto" and "." not in bucket:
        # Else botocore signs for AWS's one global host, which redirects to the bucket's region while a bucket is new.
        config = config.merge(Config(s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}))
    client = session.create_client("s3", region_name=signed_for, endpoint_url=credentials.endpoint_url, config=config)
    try:
        url: str = client.generate_presigned_url(
            operation, Params={"Bucket": bucket, "Key": key}, ExpiresIn=expires, HttpMethod=None
        )
    finally:
        client.close()
    return url
