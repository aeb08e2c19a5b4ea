"""From an approved request to the app config folder of one of its applications.

The bundle may come from anybody. What decides is the identifier that is bound into the application's attestation, what
the platform has measured, and which parties are trusted. Nothing is written before all of it is verified, and then the
whole folder appears at once::

    <root>/app-config.json                                 the runtime configuration, in its canonical form
    <root>/<port>/<object>/dataset/location.txt            as approved
    <root>/<port>/<object>/dataset/credentials.bin         as its owner committed to it
    <root>/<port>/<object>/application/location.txt        a domain of the peer's own
    <root>/<items>                                         the files of the app config
"""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from connectors.errors import InvalidDocument, ObjectExists, ObjectNotFound
from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.commitment import matches
from connectors.workflow.documents.runtime import runtime_configs
from connectors.workflow.trust.refusals import credentials_mismatch
from connectors.workflow.trust.verification import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from datetime import datetime

    from connectors.workflow.documents.commitment import OpenedCredentials
    from connectors.workflow.documents.runtime import RuntimeConfig, RuntimeDataset
    from connectors.workflow.trust.verification import Bundle

    Release = Callable[[RuntimeConfig], Mapping[str, OpenedCredentials]]
    """Takes a verified runtime configuration; gives the credentials of its datasets, by their documents' digests."""

__all__ = ["deploy", "folder_files", "peer_domain", "write_folder"]


def deploy(
    bundle: Bundle,
    root: str,
    *,
    trusted: Collection[str],
    identifier: str,
    measurement: str,
    release: Release,
    now: datetime | None = None,
) -> RuntimeConfig:
    """Lay the app config folder of an approved application down, and return what it runs on.

    Args:
        bundle: the request, and what was said to it.
        root: the folder, which is not there yet, or empty.
        trusted: the digests of the trusted parties.
        identifier: which application, by what is bound into its attestation.
        measurement: what the platform has measured.
        release: gives the credentials; it is called when everything is verified, and not before.
        now: the time, as for `verify`.

    Raises:
        InvalidDocument, NotApproved: as `verify` says.
        CredentialsMismatch: credentials are missing, or not those that were approved.
        ObjectExists: the folder has something in it.
        ObjectNotFound: the folder that it should stand in does not exist.
    """
    config = verify(bundle, trusted, identifier, measurement, now=now)
    peers = {name: one.identifier for name, one in runtime_configs(bundle.request).items()}
    write_folder(root, folder_files(config, release(config), peers))
    return config


def folder_files(
    config: RuntimeConfig, credentials: Mapping[str, OpenedCredentials], peers: Mapping[str, str]
) -> dict[str, bytes]:
    """Return the files of an app config folder, by their paths in it.

    Args:
        config: the verified runtime configuration.
        credentials: those of its datasets, by the digests of their documents.
        peers: the identifiers of all applications of the workflow, by their ids in it.

    Raises:
        CredentialsMismatch: credentials are missing, or not those that were approved.
    """
    files = {"app-config.json": config.to_bytes()}
    for port, connections in config.ports.items():
        for name, connection in connections.items():
            folder = f"{port}/{name}"
            if connection.dataset is not None:
                document = _approved_credentials(config.request, folder, connection.dataset, credentials)
                files[f"{folder}/dataset/location.txt"] = connection.dataset.location.encode()
                files[f"{folder}/dataset/credentials.bin"] = canonical_bytes(document)
            else:
                files[f"{folder}/application/location.txt"] = peer_domain(peers[name], config.request).encode()
    for path, item in config.items.items():
        files[path] = base64.b64decode(item.contents)
    return files


def peer_domain(identifier: str, request: str) -> str:
    """Return the domain of a connected application: a name, for the platform to resolve and the peer to prove.

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
    sealing = opened.credentials.get("encryption")
    encryption, pin = (
        (sealing.get("format") or "auto", sealing.get("pin")) if isinstance(sealing, dict) else (None, None)
    )
    if encryption != dataset.encryption:
        raise credentials_mismatch(request, place, dataset, "encryption")
    if pin != dataset.pin:
        raise credentials_mismatch(request, place, dataset, "pin")
    return opened.credentials


def write_folder(root: str, files: Mapping[str, bytes]) -> None:
    """Make a folder with these files, which only its owner can enter; it appears whole, or not at all.

    Raises:
        ObjectExists: it is there already, and not empty.
        ObjectNotFound: the folder that it should stand in does not exist.
    """
    target = os.path.abspath(root)
    parent = os.path.dirname(target)
    if not os.path.isdir(parent):
        message = f"there is no folder {parent} to make {os.path.basename(target)!r} in"
        raise ObjectNotFound(message)
    if os.path.lexists(target) and not (os.path.isdir(target) and not os.listdir(target)):
        message = f"{target} is there already, and stays as it is; name a folder that is not, or an empty one"
        raise ObjectExists(message)
    staging = tempfile.mkdtemp(prefix=".app-config.", suffix=".part", dir=parent)
    try:
        for path, data in files.items():
            _write(staging, path, data)
        for folder in _folders(staging):
            _sync(folder)
        os.rename(staging, target)  # an empty folder gives way
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    _sync(parent)


def _write(root: str, path: str, data: bytes) -> None:
    *folders, _ = parts = path.split("/")
    if {"", ".", ".."} & set(parts):
        message = f"{path!r} leads out of the app config folder"
        raise InvalidDocument(message)
    for depth in range(1, len(folders) + 1):
        with contextlib.suppress(FileExistsError):
            os.mkdir(os.path.join(root, *folders[:depth]), 0o700)
    descriptor = os.open(os.path.join(root, *parts), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _folders(root: str) -> Iterator[str]:
    return (folder for folder, _, _ in os.walk(root, topdown=False))


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
