"""Connections end at any point of a response or a request, by an orderly close or by a reset."""

from __future__ import annotations

import network
import pytest

from connectors.errors import StorageUnavailable

PLAIN = bytes(range(250)) * 2
OTHER = PLAIN[::-1] + b"!"
MIB = 1 << 20
ENDS = {False: "closed", True: "reset"}


@pytest.fixture
def storage(request, monkeypatch):
    network.impatient(monkeypatch)
    return network.storage_at(request.param, request)


on_every_storage = pytest.mark.parametrize("storage", network.STORAGES, indirect=True)


def response_length(storage, dataset):
    with storage.proxy.rule("faults.CutResponses", after=1, times=1):
        dataset.read_bytes()
        return max(one.get("response_length", 0) for one in storage.proxy.log())


@on_every_storage
def test_response_cut_once_is_retried(storage, tally):
    dataset = storage.write("cut/once", PLAIN)
    length = response_length(storage, dataset)
    for reset, end in ENDS.items():
        with tally(
            f"the connection is {end} once, at each sixteenth of a response, headers included", storage.name
        ) as cases:
            for part in range(16):
                with storage.proxy.rule("faults.CutResponses", after=length * part // 16, reset=reset, times=1):
                    assert cases.read(dataset.read_bytes, PLAIN) == "the right bytes"


@on_every_storage
def test_responses_all_cut_give_the_right_bytes_or_an_error(storage, tally):
    dataset = storage.write("cut/always", PLAIN)
    length = response_length(storage, dataset)
    for reset, end in ENDS.items():
        what = f"the connection is {end} at the same point of every response, headers included"
        with tally(what, storage.name, outcome="the right bytes, or StorageUnavailable") as cases:
            for after in (0, 1, length // 4, length - 120, length - 1):
                with storage.proxy.rule("faults.CutResponses", after=after, reset=reset):
                    cases.read(dataset.read_bytes, PLAIN)
    assert dataset.read_bytes() == PLAIN


@on_every_storage
def test_interrupted_write_leaves_the_old_or_the_new_object(storage, tally):
    name = "cut/written"
    old, new = storage.write(name, PLAIN), storage.dataset(name, write=True)
    for rule, what in {"CutRequests": "the request of a write", "CutResponses": "the response to a write"}.items():
        with tally(
            f"{what} is truncated, once and always", storage.name, outcome="the old object or the new one"
        ) as cases:
            for after in (0, 1, 50, 150, 299):
                for reset in ENDS:
                    for times in (1, None):
                        options = {"after": after, "reset": reset, "times": times, "methods": ["PUT"]}
                        with storage.proxy.rule(f"faults.{rule}", **options):
                            written = network.tried(lambda: new.write_bytes(OTHER))
                        found = old.read_bytes()
                        assert found == OTHER if written else found in (PLAIN, OTHER)
                        cases.count("whole")
                        new.write_bytes(PLAIN)


@pytest.mark.parametrize("storage", ["S3"], indirect=True)
def test_interrupted_multipart_upload_leaves_no_parts(storage, s3, tally):
    name, data = "cut/parts", bytes(20 * MIB)
    old, new = storage.write(name, PLAIN), storage.dataset(name, write=True)
    with tally("every part of a multipart upload is truncated in transit", storage.name) as cases:
        for after in (0, 1, 3 * MIB):
            for reset in ENDS:
                options = {"after": after, "reset": reset, "methods": ["PUT"], "target": "partNumber"}
                with storage.proxy.rule("faults.CutRequests", **options):
                    cases.refused(lambda: new.write_bytes(data), StorageUnavailable)
                assert old.read_bytes() == PLAIN
                assert not s3.client().list_multipart_uploads(Bucket="clinic").get("Uploads")


@on_every_storage
def test_connections_closed_before_any_response(storage, tally):
    dataset = storage.write("cut/before", PLAIN)
    for reset, end in ENDS.items():
        with tally(f"the connection is {end} before any response", storage.name) as cases:
            for times in (1, 2, 3, 4):
                with storage.proxy.rule("faults.CutRequests", after=0, reset=reset, times=times):
                    assert cases.read(dataset.read_bytes, PLAIN) == "the right bytes"
            with storage.proxy.rule("faults.CutRequests", after=0, reset=reset):
                cases.refused(dataset.read_bytes, StorageUnavailable)
