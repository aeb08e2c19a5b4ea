"""Signed URLs of every vendor's form, made by the vendors' own libraries, or copied from their documentation."""

from __future__ import annotations

import base64
import functools
from datetime import UTC, datetime, timedelta

__all__ = ["UNKNOWABLE", "signed_urls"]

UNKNOWABLE = {
    "x-id": "names the operation; S3 does not need it, and only the signature covers it",
    "x-amz-content-sha256": "S3 takes UNSIGNED-PAYLOAD without it, and only the signature covers it",
    "x-amz-checksum-mode": "an option of S3, which only the signature covers",
    "content-type": "an option of the request, which only the signature covers",
    "response-content-type": "an option of the response, which only the signature covers",
    "response-content-encoding": "an option of the response, which only the signature covers",
    "rsce": "an option of the response, which only the signature covers",
    "st": "a SAS without a start is valid at once",
    "spr": "a SAS without a protocol is for both",
    "sip": "a SAS without addresses is for all",
}
"""Parameters whose loss no one can know from the query alone, with the reason."""


@functools.cache
def signed_urls() -> dict[str, str]:
    """Return a URL of each form by its name; each is valid for an hour."""
    return {**_documented(), **_by_botocore(), **_by_google(), **_by_azure(), **_by_cloudfront()}


def _documented() -> dict[str, str]:
    host = "https://clinic.s3.eu-west-1.amazonaws.com/a"
    now = datetime.now(UTC)
    return {
        "S3 V4, as AWS SDK for JavaScript 3 orders it": (
            f"{host}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD"
            f"&X-Amz-Credential=AKIDEXAMPLE%2F{now:%Y%m%d}%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date={now:%Y%m%dT%H%M%SZ}"
            f"&X-Amz-Expires=900&X-Amz-Signature={'0f' * 32}&X-Amz-SignedHeaders=host&x-id=GetObject"
        ),
        "S3 V4, of several regions": (
            "https://clinic.accesspoint.s3-global.amazonaws.com/a?X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256"
            f"&X-Amz-Credential=AKIDEXAMPLE%2F{now:%Y%m%d}%2Fs3%2Faws4_request&X-Amz-Date={now:%Y%m%dT%H%M%SZ}"
            f"&X-Amz-Region-Set=%2A&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=3045{'02' * 69}"
        ),
        "S3 V4, AWS's example": (
            "https://amzn-s3-demo-bucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
            "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
            "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
            "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        ),
        "S3 V2, AWS's example": (
            "https://awsexamplebucket1.s3.amazonaws.com/photos/puppy.jpg?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE"
            "&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620"
        ),
    }


def _by_botocore() -> dict[str, str]:
    import botocore.session  # noqa: PLC0415 - each library takes a second to load
    from botocore.config import Config  # noqa: PLC0415

    found = {}
    for version, signer in (("V4", "s3v4"), ("V2", "s3")):
        for token in (None, "FwoGZXIvYXdzEJr//+/example=="):
            client = botocore.session.get_session().create_client(
                "s3",
                region_name="eu-west-1",
                aws_access_key_id="ASIAEXAMPLE" if token else "AKIDEXAMPLE",
                aws_secret_access_key="example",
                aws_session_token=token,
                config=Config(signature_version=signer, s3={"addressing_style": "virtual"}),
            )
            for operation, more in (
                ("get_object", {}),
                ("get_object", {"ResponseContentEncoding": "gzip", "ChecksumMode": "ENABLED"}),
                ("put_object", {}),
                ("put_object", {"ContentType": "text/csv"}),
            ):
                name = f"S3 {version}, {operation} with {', '.join(more) or 'nothing more'}{', temporary' if token else ''}"
                found[name] = client.generate_presigned_url(
                    operation, Params={"Bucket": "clinic", "Key": "a", **more}, ExpiresIn=3600
                )
    return found


def _rsa_key() -> object:
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    return rsa.generate_private_key(65537, 2048)


def _by_google() -> dict[str, str]:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from google.cloud.storage import Client  # noqa: PLC0415
    from google.oauth2.service_account import Credentials  # noqa: PLC0415

    pem = _rsa_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signer = Credentials.from_service_account_info(
        {"client_email": "a@clinic.example", "private_key": pem.decode(), "token_uri": "https://login.example"}
    )
    blob = Client("clinic", signer).bucket("clinic").blob("a")
    found = {}
    for version in ("v2", "v4"):
        hour = {"version": version, "expiration": timedelta(hours=1)}
        found[f"Google {version}, GET"] = blob.generate_signed_url(response_type="text/csv", **hour)
        found[f"Google {version}, PUT"] = blob.generate_signed_url(method="PUT", **hour)
    headers = {"x-goog-if-generation-match": "0"}
    found["Google v4, PUT with headers"] = blob.generate_signed_url(
        method="PUT", content_type="application/octet-stream", headers=headers, **hour
    )
    return found


def _by_azure() -> dict[str, str]:
    from azure.storage import blob  # noqa: PLC0415

    now = datetime.now(UTC)
    key = base64.b64encode(bytes(64)).decode()
    hours = {"start": now - timedelta(hours=1), "expiry": now + timedelta(hours=1)}
    delegation = blob.UserDelegationKey()
    delegation.signed_oid, delegation.signed_tid = "an-object", "a-tenant"
    delegation.signed_start, delegation.signed_expiry = "2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
    delegation.signed_service, delegation.signed_version, delegation.value = "b", "2024-11-04", key
    reading, writing = blob.BlobSasPermissions(read=True), blob.BlobSasPermissions(create=True, write=True)
    name = ("clinic", "ward", "a")
    queries = {
        "of a blob": blob.generate_blob_sas(
            *name,
            account_key=key,
            permission=reading,
            protocol="https",
            ip="192.0.2.1",
            content_encoding="gzip",
            **hours,
        ),
        "of a container": blob.generate_container_sas(
            *name[:2], account_key=key, permission=blob.ContainerSasPermissions(read=True, list=True), **hours
        ),
        "with a policy": blob.generate_blob_sas(*name, account_key=key, policy_id="readers"),
        "of an account": blob.generate_account_sas(
            name[0], key, blob.ResourceTypes(object=True), blob.AccountSasPermissions(write=True), **hours
        ),
        "of a user": blob.generate_blob_sas(*name, user_delegation_key=delegation, permission=writing, **hours),
    }
    return {f"SAS {kind}": f"https://clinic.blob.core.windows.net/ward/a?{sas}" for kind, sas in queries.items()}


def _by_cloudfront() -> dict[str, str]:
    from botocore.signers import CloudFrontSigner  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415

    key = _rsa_key()
    signer = CloudFrontSigner(
        "K2JCJMDEHXQW5F",
        lambda text: key.sign(text, padding.PKCS1v15(), hashes.SHA1()),
    )
    url, ends = "https://d111111abcdef8.cloudfront.net/a", datetime.now(UTC) + timedelta(hours=1)
    policy = signer.build_policy(url, ends, date_greater_than=ends - timedelta(hours=2), ip_address="192.0.2.0/24")
    return {
        "CloudFront, canned": signer.generate_presigned_url(url, date_less_than=ends),
        "CloudFront, custom": signer.generate_presigned_url(url, policy=policy),
    }
