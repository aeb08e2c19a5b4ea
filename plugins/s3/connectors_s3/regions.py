"""The regions of AWS: their names, and the hosts in them."""

from __future__ import annotations

import re
from typing import Annotated

from connectors.storage import matching

__all__ = ["REGION", "Region", "host_of", "region_problem"]

REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""The names of regions."""
_ZONE = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9][a-z]")
"""Availability zones of AWS, such as eu-west-1a: Amazon EC2 User Guide, "Regions and Zones"."""
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


def region_problem(region: str | None) -> str | None:
    """Return what is wrong with a region of AWS, whose hosts are named by it, or None."""
    return "this is an availability zone; remove the letter at the end" if _ZONE.fullmatch(region or "") else None


def host_of(service: str, region: str) -> str:
    """Return the host of a service in a region.

    >>> host_of("s3", "eu-west-1"), host_of("kms", "cn-north-1")
    ('s3.eu-west-1.amazonaws.com', 'kms.cn-north-1.amazonaws.com.cn')
    """
    domain = next((suffix for start, suffix in _SUFFIXES if region.startswith(start)), "amazonaws.com")
    return f"{service}.{region}.{domain}"
