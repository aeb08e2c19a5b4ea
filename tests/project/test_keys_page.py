"""docs/keys.md: the document for each platform is one that its backend and its key source take."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from connectors.keys import KeyReference, sources
from connectors.storage.registry import resolve

PAGE = (Path(__file__).parents[2] / "docs" / "keys.md").read_text()
DOCUMENTS = dict(re.findall(r"<!-- source: ([a-z0-9-]+) -->\n```json\n(.*?)```", PAGE, re.DOTALL))
LOCATIONS = {"azure": "az://clinic/conditions", "gcs": "gs://clinic/conditions", "s3": "s3://clinic/conditions"}


def test_page_has_the_platforms() -> None:
    assert DOCUMENTS.keys() == {"azure-skr", "cdh", "aws-kms", "gcp-kms", "vault"}


@pytest.mark.parametrize("source", DOCUMENTS)
def test_document_of_a_platform_is_valid(source: str) -> None:
    document = json.loads(DOCUMENTS[source])
    location = LOCATIONS.get(document.get("type", ""), "https://store.example/conditions")
    _, credentials = resolve(location, document)
    assert credentials.encryption is not None
    assert isinstance(credentials.encryption.key, KeyReference)
    assert credentials.encryption.key.source == source


def test_table_lists_the_installed_sources() -> None:
    rows = re.findall(
        r"^\| `([a-z0-9-]+)` \| .* \| (the core|`enclave-connectors\[[a-z0-9-]+\]`) \|$", PAGE, re.MULTILINE
    )
    assert {name for name, _ in rows} == {one.name for one in sources()}
