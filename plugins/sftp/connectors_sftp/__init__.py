"""SFTP servers as a backend of `connectors`.

Importing this costs next to nothing: the library that speaks SSH is loaded by the first connection.
"""

from __future__ import annotations

from connectors_sftp.backend import SFTPBackend
from connectors_sftp.credentials import SFTPCredentials

__all__ = ["SFTPBackend", "SFTPCredentials"]
