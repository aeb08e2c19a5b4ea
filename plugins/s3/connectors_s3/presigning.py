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

from connectors.errors import AccessDenied, ConfigError
from connectors_s3.location import LOCATION
from connectors_s3.sessions import open_session, region

if TYPE_CHECKING:
    from connectors.storage import BucketPlace
    from connectors_s3.credentials import S3Credentials

__all__ = ["presign"]

_OPERATIONS = {"GET": "get_object", "PUT": "put_object"}


def presign(place: BucketPlace, credentials: S3Credentials, method: str, expires: int) -> str:
    """Return a URL that can GET or PUT the object for `expires` seconds; makes no request.

    The signature covers no header but the host, so any HTTP client can use the URL. If the credentials are temporary,
    the URL expires with them at the latest.

    Raises:
        ConfigError: the region to sign for is unknown.
        AccessDenied: the credentials are ambient, and the machine provides none.
    """
    try:
        return _sign(place, credentials, _OPERATIONS[method], expires)
    except ProfileNotFound:
        message = "the profile in the credentials does not exist on this machine"
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError):
        where = LOCATION.shown(place.path)
        message = f"the credentials for {where} are ambient, but this machine provides none that work"
    raise AccessDenied(message)


def _sign(place: BucketPlace, credentials: S3Credentials, operation: str, expires: int) -> str:
    session = open_session(credentials)
    # S3 refuses a signature for another region than the bucket's, but only when the URL is used, maybe days later.
    signed_for = region(credentials) or (session.get_config_variable("region") if credentials.ambient else None)
    if signed_for is None:
        message = "credentials.region: required to presign URLs without an endpoint_url"
        raise ConfigError(message)
    config = _client_config(credentials)
    if config.s3["addressing_style"] == "auto" and "." not in place.bucket:
        # By default, botocore signs for AWS's global host, which redirects to the bucket's region if the bucket is new.
        config = config.merge(Config(s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}))
    client = session.create_client("s3", region_name=signed_for, endpoint_url=credentials.endpoint_url, config=config)
    try:
        url: str = client.generate_presigned_url(
            operation, Params={"Bucket": place.bucket, "Key": place.key}, ExpiresIn=expires, HttpMethod=None
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
