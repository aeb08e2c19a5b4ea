"""Write the app config folder of an application from an approved request.

The bundle is untrusted. It is verified against the identifier that is bound into the application's attestation, the
measurement, platform and debug state that the attestation gives, and the trusted parties. Only then is the folder
written, atomically: the runtime configuration in canonical form, each dataset's approved location, the credentials that
its owner committed to, a domain for each peer, and the items of the app config.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from connectors.app.layout import RUNTIME_CONFIG, application_files, dataset_files, write_root
from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.commitment import matches
from connectors.workflow.documents.deployable import check_location
from connectors.workflow.documents.runtime import identifiers
from connectors.workflow.trust.refusals import credentials_mismatch
from connectors.workflow.trust.verification import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from connectors.workflow.documents.commitment import OpenedCredentials
    from connectors.workflow.documents.runtime import RuntimeConfig, RuntimeDataset
    from connectors.workflow.trust.verification import Bundle

    Release = Callable[[RuntimeConfig], Mapping[str, OpenedCredentials]]
    """Takes a verified runtime configuration; returns the credentials of its datasets, by their documents' digests."""

__all__ = ["deploy", "folder_files", "peer_domain"]


def deploy(
    bundle: Bundle,
    root: str,
    *,
    trusted: Collection[str],
    identifier: str,
    measurement: str,
    platform: str,
    debug: bool,
    release: Release,
    now: datetime | None = None,
    allow_local: bool = False,
) -> RuntimeConfig:
    """Write the app config folder of an approved application, and return its runtime configuration.

    Args:
        bundle: the request and the statements on it.
        root: the folder; it must be empty or not exist yet.
        trusted: the digests of the trusted parties.
        identifier: the digest that is bound into the application's attestation.
        measurement: the measurement of the application in its attestation.
        platform: the platform that made the attestation.
        debug: whether the attestation says that it is a debug build.
        release: returns the credentials; it is called only after everything else is verified.
        now: the current time, as for `verify`.
        allow_local: accept datasets on the machine that the application runs on, for development.

    Raises:
        InvalidDocument, NotApproved: as `verify` says; or a dataset is at a local location, or the folder cannot have
            these names.
        CredentialsMismatch: credentials are missing, or not the approved ones.
        ObjectExists: the folder is not empty.
        ObjectNotFound: its parent folder does not exist.
    """
    config = verify(bundle, trusted, identifier, measurement, platform=platform, debug=debug, now=now)
    for connections in config.ports.values():
        for name, connection in connections.items():
            if connection.dataset is not None:
                check_location(name, connection.dataset.location, allow_local=allow_local)
    write_root(root, folder_files(config, release(config), identifiers(bundle.request)))
    return config


def folder_files(
    config: RuntimeConfig, credentials: Mapping[str, OpenedCredentials], peers: Mapping[str, str]
) -> dict[str, bytes]:
    """Return the files of an app config folder, by their paths in it.

    Args:
        config: the verified runtime configuration.
        credentials: the credentials of its datasets, by the digests of their documents.
        peers: the identifiers of all applications of the workflow, by their ids in it.

    Raises:
        CredentialsMismatch: credentials are missing, or not the approved ones.
    """
    files = {RUNTIME_CONFIG: config.to_bytes()}
    for port, connections in config.ports.items():
        for name, connection in connections.items():
            if connection.dataset is not None:
                document = _approved_credentials(config.request, f"{port}/{name}", connection.dataset, credentials)
                files |= dataset_files(port, name, connection.dataset.location, canonical_bytes(document))
            else:
                files |= application_files(port, name, peer_domain(peers[name], config.request))
    for path, item in config.items.items():
        files[path] = base64.b64decode(item.contents)
    return files


def peer_domain(identifier: str, request: str) -> str:
    """Return the domain name of a connected application, for the platform to resolve and the peer to prove.

    >>> peer_domain("ab" * 32, "cd" * 32)
    'abababababababababababababababab.cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd.workflow.internal'
    """
    return f"{identifier[:32]}.{request[:32]}.workflow.internal"


def _approved_credentials(
    request: str, place: str, dataset: RuntimeDataset, credentials: Mapping[str, OpenedCredentials]
) -> dict[str, Any]:
    opened = credentials.get(dataset.document)
    if opened is None:
        raise credentials_mismatch(request, place, dataset, "credentials_digest")
    if not matches(opened, dataset.credentials_digest):
        raise credentials_mismatch(request, place, dataset, "credentials_digest", opened.digest)
    found = opened.credentials.get("encryption")
    encryption, pin = (found.get("format") or "auto", found.get("pin")) if isinstance(found, dict) else (None, None)
    if encryption != dataset.encryption:
        raise credentials_mismatch(request, place, dataset, "encryption")
    if pin != dataset.pin:
        raise credentials_mismatch(request, place, dataset, "pin")
    return opened.credentials
