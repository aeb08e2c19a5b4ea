"""Connections end at every place of an answer and of a request, in good order and by a reset."""

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


def length_of_answer(storage, dataset):
    with storage.proxy.rule("faults.CutAnswers", after=1, times=1):
        dataset.read_bytes()
        return max(one.get("answer", 0) for one in storage.proxy.log())


@on_every_storage
@pytest.mark.timeout(120)
def test_answer_that_is_cut_once_costs_nothing(storage, tally):
    dataset = storage.write("cut/once", PLAIN)
    length = length_of_answer(storage, dataset)
    for reset, end in ENDS.items():
        with tally(
            f"the connection is {end} once, at every 16th part of an answer and its head", storage.name
        ) as cases:
            for part in range(16):
                with storage.proxy.rule("faults.CutAnswers", after=length * part // 16, reset=reset, times=1):
                    assert cases.read(dataset.read_bytes, PLAIN) == "the right bytes"


@on_every_storage
@pytest.mark.timeout(120)
def test_answers_that_are_all_cut_bring_all_bytes_or_an_error(storage, tally):
    dataset = storage.write("cut/always", PLAIN)
    length = length_of_answer(storage, dataset)
    for reset, end in ENDS.items():
        what = f"the connection is {end} at the same place of all answers, their heads too"
        with tally(what, storage.name, outcome="all the right bytes, or StorageUnavailable") as cases:
            for after in (0, 1, length // 4, length - 120, length - 1):
                with storage.proxy.rule("faults.CutAnswers", after=after, reset=reset):
                    cases.read(dataset.read_bytes, PLAIN)
    assert dataset.read_bytes() == PLAIN


@on_every_storage
@pytest.mark.timeout(120)
def test_a_write_that_is_cut_leaves_the_old_object_or_the_new_one(storage, tally):
    name = "cut/written"
    old, new = storage.write(name, PLAIN), storage.dataset(name, write=True)
    for rule, what in {"CutRequests": "the request of a write", "CutAnswers": "the answer to a write"}.items():
        with tally(f"{what} is cut, once and always", storage.name, outcome="the old object or the new one") as cases:
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
@pytest.mark.timeout(120)
def test_a_large_write_that_is_cut_leaves_no_parts_behind(storage, s3, tally):
    name, data = "cut/parts", bytes(20 * MIB)
    old, new = storage.write(name, PLAIN), storage.dataset(name, write=True)
    with tally("all parts of an upload are cut on their way", storage.name) as cases:
        for after in (0, 1, 3 * MIB):
            for reset in ENDS:
                options = {"after": after, "reset": reset, "methods": ["PUT"], "target": "partNumber"}
                with storage.proxy.rule("faults.CutRequests", **options):
                    cases.refused(lambda: new.write_bytes(data), StorageUnavailable)
                assert old.read_bytes() == PLAIN
                assert not s3.client().list_multipart_uploads(Bucket="clinic").get("Uploads")


@on_every_storage
@pytest.mark.timeout(120)
def test_connections_that_end_before_any_answer(storage, tally):
    dataset = storage.write("cut/before", PLAIN)
    for reset, end in ENDS.items():
        with tally(f"the connection is {end} before any answer", storage.name) as cases:
            for times in (1, 2, 3, 4):
                with storage.proxy.rule("faults.CutRequests", after=0, reset=reset, times=times):
                    assert cases.read(dataset.read_bytes, PLAIN) == "the right bytes"
            with storage.proxy.rule("faults.CutRequests", after=0, reset=reset):
                cases.refused(dataset.read_bytes, StorageUnavailable)
