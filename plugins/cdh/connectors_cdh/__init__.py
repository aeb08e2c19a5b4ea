"""The key source ``cdh``: keys that the Confidential Data Hub of Confidential Containers gives to an attested guest."""

from __future__ import annotations

from connectors_cdh.reference import ResourceReference
from connectors_cdh.source import ConfidentialDataHub

__all__ = ["ConfidentialDataHub", "ResourceReference"]
