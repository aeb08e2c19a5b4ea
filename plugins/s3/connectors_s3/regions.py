"""The regions of AWS: their names, and the hosts in them."""

from __future__ import annotations

import re
from typing import Annotated

from connectors.storage import matching

__all__ = ["REGION", "Region", "host_of", "is_amazon", "region_problem"]

REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""The names of regions."""
_ZONE = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9][a-z]")
"""Availability zones of AWS, such as eu-west-1a: Amazon EC2 User Guide, "Regions and Zones"."""
_GLOBAL = re.compile(r"aws(-[a-z]+)*-global|s3-external-1")
"""What botocore calls hosts that serve no single region: its endpoints.json."""
_FIPS = re.compile(r"fips-.*|.*-fips|prodfips")
"""What botocore calls hosts with FIPS 140 cryptography, in place of their regions: from the same file."""
_SUFFIXES = (
    # Botocore's partitions.json.
    ("cn-", "amazonaws.com.cn"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("eusc-", "amazonaws.eu"),
)

# It becomes part of a host name, so it decides where the requests go.
Region = Annotated[str, matching(REGION, "not the name of a region, such as eu-west-1")]
"""The type of a member with the name of a region."""


def region_problem(region: str | None, service: str, endpoint: str) -> str | None:
    """Return what is wrong with a region of AWS, whose hosts are named by it, or None.

    Args:
        region: the region, if it is known.
        service: the service's name in hosts.
        endpoint: the member of the document that names an endpoint.
    """
    if _ZONE.fullmatch(region or ""):
        return "this is an availability zone; remove the letter at the end"
    if _GLOBAL.fullmatch(region or ""):
        return "this stands for a host of several regions; name the region itself, such as eu-west-1"
    if _FIPS.fullmatch(region or ""):
        example = f"https://{host_of(f'{service}-fips', 'us-east-1')}"
        return f"this stands for a FIPS endpoint; name the region itself, and in {endpoint} the endpoint: {example}"
    return None


def is_amazon(host: str) -> bool:
    """Return whether a host is one of Amazon's, in any partition."""
    return host.endswith((".amazonaws.com", ".api.aws", *(f".{suffix}" for _, suffix in _SUFFIXES)))


def host_of(service: str, region: str) -> str:
    """Return the host of a service in a region.

    >>> host_of("s3", "eu-west-1"), host_of("kms", "cn-north-1")
    ('s3.eu-west-1.amazonaws.com', 'kms.cn-north-1.amazonaws.com.cn')
    """
    domain = next((suffix for start, suffix in _SUFFIXES if region.startswith(start)), "amazonaws.com")
    return f"{service}.{region}.{domain}"
