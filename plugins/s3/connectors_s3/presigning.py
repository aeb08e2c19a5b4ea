"""Presigned URLs, which let their holder GET or PUT one object for a limited time without credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)

from connectors.errors import AccessDenied, ConfigError, InvalidLocation, NotSupported
from connectors.secrets import redact_url
from connectors_s3.location import split_location
from connectors_s3.sessions import open_session, region

if TYPE_CHECKING:
    from connectors_s3.credentials import S3Credentials

__all__ = ["MAX_EXPIRES", "presign"]

MAX_EXPIRES = 7 * 24 * 3600
"""The longest time in seconds for which a URL can be valid: Amazon S3 API Reference, "Authenticating requests: using
query parameters"."""

_OPERATIONS = {"GET": "get_object", "PUT": "put_object"}


def presign(location: str, credentials: S3Credentials, method: str, expires: int) -> str:
    """Return a URL that can GET or PUT the object for `expires` seconds; makes no request.

    The signature covers no header but the host, so any HTTP client can use the URL. If the credentials are temporary,
    the URL expires with them at the latest.

    Raises:
        ConfigError: `expires` is not between 1 and 604,800, or the region to sign for is unknown.
        NotSupported: another method, or anonymous credentials.
        InvalidLocation: this is not a location in S3, or it is a folder.
        AccessDenied: the credentials are ambient, and the machine provides none.
    """
    bucket, key = split_location(location)
    if not key or key.endswith("/"):
        message = f"{redact_url(location)} is a folder; a URL is presigned for one object"
        raise InvalidLocation(message)
    operation = _OPERATIONS.get(method.upper())
    if operation is None:
        message = f"URLs for S3 are presigned for GET or PUT, not for {method}"
        raise NotSupported(message)
    if isinstance(expires, bool) or not isinstance(expires, int) or not 1 <= expires <= MAX_EXPIRES:
        message = f"a presigned URL is valid for 1 to {MAX_EXPIRES} seconds, not for {expires}"
        raise ConfigError(message)
    if credentials.anonymous:
        message = "anonymous credentials cannot sign URLs; a public object needs no presigned URL"
        raise NotSupported(message)
    try:
        return _sign(bucket, key, credentials, operation, expires)
    except ProfileNotFound:
        message = "the profile in the credentials does not exist on this machine"
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError):
        message = f"the credentials for {redact_url(location)} are ambient, but this machine provides none that work"
    raise AccessDenied(message)


def _sign(bucket: str, key: str, credentials: S3Credentials, operation: str, expires: int) -> str:
    session = open_session(credentials)
    # S3 refuses a signature for another region than the bucket's, but only when the URL is used, maybe days later.
    signed_for = region(credentials) or (session.get_config_variable("region") if credentials.ambient else None)
    if signed_for is None:
        message = "credentials.region: required to presign URLs without an endpoint_url"
        raise ConfigError(message)
    config = _client_config(credentials)
    if config.s3["addressing_style"] == "auto" and "." not in bucket:
        # By default, botocore signs for AWS's global host, which redirects to the bucket's region if the bucket is new.
        config = config.merge(Config(s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}))
    client = session.create_client("s3", region_name=signed_for, endpoint_url=credentials.endpoint_url, config=config)
    try:
        url: str = client.generate_presigned_url(
            operation, Params={"Bucket": bucket, "Key": key}, ExpiresIn=expires, HttpMethod=None
        )
    finally:
        client.close()
    return url


def _client_config(credentials: S3Credentials) -> Any:
    """Return the configuration of the client that signs."""
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": credentials.addressing_style},
        ignore_configured_endpoint_urls=not credentials.ambient,
        # Its checksums would be parameters of the URLs, which many compatible stores refuse.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
