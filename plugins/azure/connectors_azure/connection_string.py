"""Parses and checks text that is copied from Azure's portal: connection strings, keys, SAS and endpoints."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from connectors.secrets import SecretText
from connectors.storage import endpoint_problem

__all__ = [
    "ENDPOINT",
    "Connection",
    "key_problem",
    "parse_connection_string",
    "sas_problem",
    "url_problem",
]

ENDPOINT = "https://clinic.blob.core.windows.net"
"""An example of an endpoint."""
_SAS = re.compile(r"[!-~]+")
_HOST_NAME = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_IGNORED = {
    f"{service}{kind}".lower()
    for service in ("Blob", "Queue", "Table", "File", "Web", "Dfs")
    for kind in ("Endpoint", "SecondaryEndpoint")
}


@dataclass(frozen=True, slots=True, repr=False)
class Connection:
    """A parsed connection string.

    Attributes:
        account: the account's name.
        endpoint: URL of its blob service, without a trailing slash.
        key: the account key, or None if there is a SAS.
        sas: a shared access signature without its question mark, or None if there is a key.
    """

    account: str
    endpoint: str
    key: SecretText | None
    sas: SecretText | None


def parse_connection_string(secret: SecretText) -> tuple[Connection | None, str | None]:
    """Return the parsed connection string, or what is wrong with it, without quoting any of it.

    >>> connection, _ = parse_connection_string(SecretText("AccountName=clinic;AccountKey=c2VjcmV0"))
    >>> connection.account, connection.endpoint
    ('clinic', 'https://clinic.blob.core.windows.net')
    """
    members: dict[str, str] = {}
    for pair in filter(None, secret.reveal().split(";")):
        name, equals, value = pair.partition("=")
        if not equals or not value or name.lower() in members:
            return None, "not a connection string, which consists of Name=value; pairs, each name once"
        members[name.lower()] = value
    known = {"defaultendpointsprotocol", "accountname", "accountkey", "sharedaccesssignature", "endpointsuffix"}
    if not members or members.keys() - known - _IGNORED:
        return None, (
            "not a connection string of a storage account, which has AccountName and AccountKey, or BlobEndpoint and "
            "SharedAccessSignature"
        )
    key, sas = members.get("accountkey"), members.get("sharedaccesssignature")
    if (key is None) == (sas is None):
        return None, "give exactly one of AccountKey and SharedAccessSignature"
    endpoint, account, problem = _endpoint(members)
    key_text = None if key is None else SecretText(key)
    sas_text = None if sas is None else SecretText(sas)
    problem = problem or (key_text and key_problem(key_text)) or (sas_text and sas_problem(sas_text)) or None
    if problem:
        return None, problem
    return Connection(account, endpoint, key_text, sas_text and SecretText(sas_text.reveal().lstrip("?"))), None


def _endpoint(members: dict[str, str]) -> tuple[str, str, str | None]:
    """Return the blob service's URL and the account, or what is wrong with them."""
    protocol = members.get("defaultendpointsprotocol", "https").lower()
    suffix = members.get("endpointsuffix", "core.windows.net").lower()
    account = members.get("accountname")
    endpoint = members.get("blobendpoint", f"{protocol}://{account}.blob.{suffix}").rstrip("/")
    if account is None and "blobendpoint" in members and not url_problem(endpoint):
        # A connection string with a SAS from the portal has no AccountName.
        account = (urlsplit(endpoint).hostname or "").partition(".blob.")[0]
    if account is None or not _ACCOUNT.fullmatch(account):
        return "", "", "it names no storage account; add an AccountName"
    if not _HOST_NAME.fullmatch(suffix):
        return "", "", "its EndpointSuffix is not the end of a host name, such as core.windows.net"
    problem = url_problem(endpoint)
    return endpoint, account, f"its blob endpoint: {problem}" if problem else None


def key_problem(key: SecretText) -> str | None:
    """Return what is wrong with an account key, or None."""
    try:
        valid = bool(base64.b64decode(key.reveal(), validate=True))
    except (binascii.Error, ValueError):
        valid = False
    text = key.reveal()
    if not valid and "AccountKey=" in text:
        return "this is a connection string; put it into connection_string"
    if not valid and "sig=" in text:
        return "this is a shared access signature; put it into sas_token"
    return None if valid else "not an account key; copy all of its base64 text, without white space"


def sas_problem(sas: SecretText) -> str | None:
    """Return what is wrong with a shared access signature, or None."""
    text = sas.reveal().removeprefix("?")
    if "://" in text or "?" in text:
        return "give only the part of the signed URL after its '?'; the rest belongs to the location"
    if not _SAS.fullmatch(text) or "#" in text or not dict(parse_qsl(text)).get("sig"):
        return "not a shared access signature, which is a URL's query with sig= and without white space"
    return None


def url_problem(url: str) -> str | None:
    """Return what is wrong with the URL of an endpoint, without quoting any of it, or None."""
    return endpoint_problem(url, example=ENDPOINT)
