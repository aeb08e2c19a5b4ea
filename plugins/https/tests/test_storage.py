"""Reading and writing with real servers: SeaweedFS for S3, Azurite for Azure."""

from __future__ import annotations

import base64
import os
import time
import urllib.error
import urllib.request
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from connectors import Dataset
from connectors.errors import AccessDenied, CredentialsExpired, IntegrityError, ObjectExists, ObjectNotFound
from connectors.storage.signing import SKEW
from connectors.streams import SealedWriter, buffered
from connectors_https import HttpsBackend, HttpsCredentials

KEY = "0f" * 32
DATA = os.urandom(3_000_000)


def connect(url):
    """Return the filesystem, path and credentials of a signed URL, made from a document as in an application."""
    location, _, query = url.partition("?")
    document = {"query_string": base64.b64encode(query.encode()).decode(), "encryption": {"key": KEY}}
    credentials = HttpsCredentials.model_validate(document)
    return *HttpsBackend().connect(location, credentials), credentials


def write(url, data, *, exclusive=False):
    fs, path, credentials = connect(url)
    with SealedWriter(fs.open_sink(path, exclusive=exclusive), credentials.codec()) as writer:
        writer.write(data)
    fs.close()


def read(url):
    fs, path, credentials = connect(url)
    with buffered(fs.open_source(path), credentials.codec()) as reader:
        data = reader.read()
    fs.close()
    return data


@pytest.fixture
def key():
    return f"results {uuid.uuid4().hex}/conditions+a%b.csv"


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_s3_round_trip_of_sealed_objects(s3, key, size):
    write(s3.presign("PUT", "clinic", key), DATA[:size])
    assert read(s3.presign("GET", "clinic", key)) == DATA[:size]
    stored = s3.client().get_object(Bucket="clinic", Key=key)["Body"].read()
    assert len(stored) > size
    assert DATA[:32] not in stored


def test_s3_objects_of_other_clients_are_read(s3, key):
    s3.client().put_object(Bucket="clinic", Key=key, Body=DATA)
    fs, path, _ = connect(s3.presign("GET", "clinic", key))
    assert fs.info(path)["size"] == len(DATA)
    assert fs.cat_file(path, 1000, 2000) == DATA[1000:2000]
    source = fs.open_source(path)
    assert source.read_range(len(DATA) - 10, len(DATA) + 10) == DATA[-10:]
    fs.close()


def test_s3_round_trip_of_an_empty_object(s3, key):
    s3.client().put_object(Bucket="clinic", Key=key, Body=b"")
    fs, path, _ = connect(s3.presign("GET", "clinic", key))
    assert fs.info(path)["size"] == 0
    assert fs.cat_file(path) == b""
    fs.close()


def test_s3_denies_the_other_method_and_head(s3, key):
    s3.client().put_object(Bucket="clinic", Key=key, Body=b"stands")
    get, put = s3.presign("GET", "clinic", key), s3.presign("PUT", "clinic", key)
    with pytest.raises(AccessDenied, match="signed for GET cannot be written"):
        write(get, DATA)
    with pytest.raises(AccessDenied, match="signed for PUT cannot be read"):
        read(put)
    # A HEAD of the same URL is refused, so the size comes from a range.
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(get, method="HEAD"))
    caught.value.close()
    assert caught.value.code == 403
    assert s3.client().get_object(Bucket="clinic", Key=key)["Body"].read() == b"stands"


def test_s3_denies_a_query_signed_for_another_object(s3, key):
    s3.client().put_object(Bucket="clinic", Key=key, Body=b"stands")
    other = s3.presign("GET", "clinic", "other").partition("?")[2]
    with pytest.raises(AccessDenied, match="SignatureDoesNotMatch"):
        read(s3.presign("GET", "clinic", key).partition("?")[0] + "?" + other)


def test_s3_missing_object_or_bucket_is_not_found(s3, key):
    with pytest.raises(ObjectNotFound, match="nothing is stored at"):
        read(s3.presign("GET", "clinic", key))
    with pytest.raises(ObjectNotFound, match="bucket or container"):
        write(s3.presign("PUT", "nowhere", key), b"x")
    fs, path, _ = connect(s3.presign("GET", "clinic", key))
    assert not fs.exists(path)
    fs.close()


def test_s3_refuses_an_expired_signature(s3, key, monkeypatch):
    s3.client().put_object(Bucket="clinic", Key=key, Body=b"stands")
    get, put = s3.presign("GET", "clinic", key, expires=1), s3.presign("PUT", "clinic", key, expires=1)
    time.sleep(2.2)
    for attempt in (lambda: read(get), lambda: write(put, b"x")):
        with pytest.raises(CredentialsExpired, match=r"get a newly signed URL.*Dataset\.refresh\(\)"):
            attempt()
    assert SKEW == 300  # so it was the server that refused


def test_s3_creates_exclusively(s3, key):
    put = s3.presign("PUT", "clinic", key)
    write(put, b"first", exclusive=True)
    with pytest.raises(ObjectExists):
        write(put, b"second", exclusive=True)
    assert read(s3.presign("GET", "clinic", key)) == b"first"
    write(put, b"third")
    assert read(s3.presign("GET", "clinic", key)) == b"third"


def test_s3_keeps_the_previous_object_if_a_write_fails(s3, key):
    put = s3.presign("PUT", "clinic", key)
    write(put, b"first")
    fs, path, credentials = connect(put)

    def fail():
        with SealedWriter(fs.open_sink(path), credentials.codec()) as writer:
            writer.write(DATA)
            message = "the job failed"
            raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="the job failed"):
        fail()
    assert read(s3.presign("GET", "clinic", key)) == b"first"


def dataset(url):
    location, _, query = url.partition("?")
    document = {"query_string": base64.b64encode(query.encode()).decode(), "encryption": {"key": KEY}}
    return Dataset(location, document, name="input/conditions")


def test_datasets_over_signed_urls(s3, key, tmp_path):
    output, source = dataset(s3.presign("PUT", "clinic", key)), dataset(s3.presign("GET", "clinic", key))
    with pytest.raises(ObjectNotFound, match=r"^input/conditions: nothing is stored at http"):
        source.read_bytes()
    output.write_bytes(DATA)
    assert source.read_bytes() == DATA
    with source.open() as file:
        file.seek(-10, os.SEEK_END)
        assert file.read() == DATA[-10:]
    fs, path = source.filesystem()
    assert fs.size(path) == len(DATA)
    source.download(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == DATA
    (tmp_path / "other").write_bytes(DATA[:1000])
    output.upload(tmp_path / "other")
    assert source.read_bytes() == DATA[:1000]
    with pytest.raises(ObjectExists, match="input/conditions"), output.open("xb") as file:
        file.write(b"never")
    assert source.read_bytes() == DATA[:1000]
    # A damaged object in storage is an integrity error.
    s3.client().put_object(Bucket="clinic", Key=key, Body=DATA)
    with pytest.raises(IntegrityError, match="input/conditions"):
        source.read_bytes()


@pytest.fixture(scope="module")
def sas(azure):
    """A function that signs the URL of a blob for reading or writing."""
    from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415
    from azure.storage.blob import BlobSasPermissions, BlobServiceClient, generate_blob_sas  # noqa: PLC0415

    account = {"account_name": azure.account, "account_key": azure.key}
    with BlobServiceClient(azure.endpoint, credential=account) as service:
        with suppress(ResourceExistsError):  # another test may have created it
            service.create_container("clinic")

    def sign(blob, permissions, expires=3600):
        token = generate_blob_sas(
            azure.account,
            "clinic",
            blob,
            account_key=azure.key,
            permission=BlobSasPermissions.from_string(permissions),
            expiry=datetime.now(UTC) + timedelta(seconds=expires),
        )
        return f"{azure.endpoint}/clinic/{blob}?{token}"

    return sign


def test_azure_round_trip_of_sealed_blobs(sas):
    write(sas("conditions", "cw"), DATA)
    assert read(sas("conditions", "r")) == DATA
    fs, path, credentials = connect(sas("conditions", "r"))
    assert credentials.signature().flavour == "azure"
    assert abs((fs.expires_at - datetime.now(UTC)).total_seconds() - 3600) < 300
    assert fs.info(path)["size"] > len(DATA)
    fs.close()


def test_azure_round_trip_of_an_empty_blob(sas):
    fs, path, _ = connect(sas("empty", "rcw"))
    fs.pipe_file(path, b"")
    assert fs.info(path)["size"] == 0
    fs.close()


def test_azure_creates_exclusively(sas):
    write(sas("once", "cw"), b"first", exclusive=True)
    with pytest.raises(ObjectExists, match="BlobAlreadyExists|412"):
        write(sas("once", "cw"), b"second", exclusive=True)
    assert read(sas("once", "r")) == b"first"


def test_azure_denied_and_missing_blobs_have_their_errors(sas):
    with pytest.raises(AccessDenied, match="AuthorizationPermissionMismatch"):
        write(sas("conditions", "r"), b"x")
    with pytest.raises(ObjectNotFound, match="BlobNotFound"):
        read(sas("nothing", "r"))
    with pytest.raises(CredentialsExpired):
        read(sas("conditions", "r", expires=-30))
