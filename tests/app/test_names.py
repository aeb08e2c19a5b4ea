"""Names that look the same and are written differently."""

from __future__ import annotations

import unicodedata

import fsspec
import pytest

import connectors
from connectors.app.layout import dataset_files

NFC, NFD = (unicodedata.normalize(form, "Größe") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(("there", "asked"), [(NFC, NFD), (NFD, NFC)])
def test_a_missing_name_is_told_from_its_twin(there, asked, tmp_path):
    for path, data in dataset_files(there, there, "memory://x", b'{"encryption": null}').items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    app = connectors.load(tmp_path)
    fs = fsspec.filesystem("dataset", app_config=tmp_path, skip_instance_cache=True)
    for look_up in (lambda: app[asked], lambda: app[there][asked], lambda: fs.info(f"{there}/{asked}")):
        with pytest.raises((connectors.errors.UnknownDataset, FileNotFoundError)) as caught:
            look_up()
        assert ascii(there)[1:-1] in str(caught.value)
        assert ascii(asked)[1:-1] in str(caught.value)
    with pytest.raises(connectors.errors.UnknownDataset) as caught:
        app["other"]
    assert "looks the same" not in str(caught.value)
