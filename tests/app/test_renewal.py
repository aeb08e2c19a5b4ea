"""Signed URLs that end while their object is being read: the read goes on when the app config has new ones."""

from __future__ import annotations

import base64
import json
import threading
import time
import urllib.error
import urllib.request
import uuid

import pytest
from patience import PATIENCE, scaled

import connectors
from connectors.errors import CredentialsExpired, IntegrityError, ObjectChanged

KEY = "7e" * 32
CHUNK = 16384
DATA = b"".join(b"%015d\n" % number for number in range(500_000))


class Clinic:
    """A dataset behind a URL that a platform signs anew when it likes."""

    def __init__(self, s3, root):
        self._s3, self._root = s3, root
        self._name = f"renewal/{uuid.uuid4().hex}"
        self.folder = root / "input" / "conditions" / "dataset"
        self.folder.mkdir(parents=True)

    def put(self, data):
        folder = self._root / "owner"
        folder.mkdir(exist_ok=True)
        connectors.encrypt(_file(folder, data), folder / "sealed", KEY)
        self._s3.client().upload_file(str(folder / "sealed"), "clinic", self._name)

    def sign(self, expires=3600):
        """Lay the credentials down; return the URL."""
        url = self._s3.presign("GET", "clinic", self._name, expires=expires)
        location, _, query = url.partition("?")
        document = {
            "query_string": base64.b64encode(query.encode()).decode(),
            "encryption": {"key": KEY},
        }
        (self.folder / "location.txt").write_text(location)
        (self.folder / "credentials.bin").write_text(json.dumps(document))
        return url

    def open(self):
        return connectors.load(self._root)["input"]["conditions"].open()

    @staticmethod
    def wait(url):
        """Wait until the store itself no longer takes a URL."""
        while True:
            try:
                urllib.request.urlopen(url, timeout=PATIENCE).close()
            except urllib.error.HTTPError:
                return
            time.sleep(0.2)


def _file(folder, data):
    (folder / "plain").write_bytes(data)
    return folder / "plain"


@pytest.fixture
def clinic(s3, tmp_path):
    clinic = Clinic(s3, tmp_path)
    clinic.put(DATA)
    return clinic


def test_the_read_goes_on_with_renewed_credentials(clinic):
    ending = clinic.sign(expires=round(scaled(2)))
    with clinic.open() as file:
        came = file.read(3 * CHUNK)
        clinic.wait(ending)
        clinic.sign()
        assert came + file.read() == DATA


def test_many_readers_of_one_dataset_go_on(clinic):
    ending = clinic.sign(expires=round(scaled(2)))
    dataset = connectors.load(clinic._root)["input"]["conditions"]
    files = [dataset.open() for _ in range(6)]
    starts = [file.read(100) for file in files]
    clinic.wait(ending)
    clinic.sign()
    whole = {}

    def rest(number):
        whole[number] = starts[number] + files[number].read()
        files[number].close()

    threads = [threading.Thread(target=rest, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [whole.get(number) == DATA for number in range(6)] == [True] * 6
    assert dataset.read_bytes() == DATA


def test_opened_dataset_opens_again_with_renewed_credentials(clinic):
    ending = clinic.sign(expires=round(scaled(2)))
    dataset = connectors.load(clinic._root)["input"]["conditions"]
    assert dataset.read_bytes() == DATA
    clinic.wait(ending)
    clinic.sign()
    fs, path = dataset.filesystem()
    assert fs.cat_file(path, 100, 200) == DATA[100:200]


def test_without_renewed_ones_it_is_an_error_that_says_so(clinic):
    ending = clinic.sign(expires=round(scaled(2)))
    with clinic.open() as file:
        file.read(CHUNK)
        clinic.wait(ending)
        with pytest.raises(CredentialsExpired, match="^input/conditions: the signed query for .* expired at") as error:
            file.read()
        assert "X-Amz" not in str(error.value)
        clinic.sign()  # which comes late, and not too late
        file.seek(0)
        assert file.read() == DATA


def test_an_object_that_was_exchanged_meanwhile_gives_no_byte(clinic):
    ending = clinic.sign(expires=round(scaled(2)))
    with clinic.open() as file:
        file.read(CHUNK)
        clinic.wait(ending)
        clinic.put(DATA[::-1])
        clinic.sign()
        with pytest.raises((IntegrityError, ObjectChanged)):
            file.read()


def test_another_place_is_another_dataset(clinic):
    ending = clinic.sign(expires=round(scaled(2)))
    with clinic.open() as file:
        file.read(CHUNK)
        clinic.wait(ending)
        clinic.sign()
        location = clinic.folder / "location.txt"
        location.write_text(location.read_text() + "-another")
        with pytest.raises(CredentialsExpired):
            file.read()
