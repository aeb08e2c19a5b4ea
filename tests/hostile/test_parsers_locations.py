"""Locations, signed queries and text pasted from portals: parsed as written, or refused with one of our errors."""

from __future__ import annotations

import pytest
import strange
from hypothesis import given
from hypothesis import strategies as st

from fuzz.checks import ACCEPTED
from fuzz.targets import locations

SCHEMES = (
    "s3",
    "gs",
    "gcs",
    "az",
    "abfss",
    "azure",
    "sftp",
    "ssh",
    "https",
    "http",
    "file",
    "memory",
    "S3",
    "x+y",
    "",
    "ä",
)
MEMBERS = ("X-Amz-Date", "X-Amz-Expires", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Goog-Date", "X-Goog-Signature")
MEMBERS += ("X-Goog-Expires", "GoogleAccessId", "AWSAccessKeyId", "Signature", "Expires", "sig", "sv", "se", "ske")
TIMES = (
    "20260102T030405Z",
    "99991231T235959Z",
    "2026-01-02T03%3A04Z",
    "2026-01-02",
    "0001-01-01T00:00:00%2B23:59",
    "9" * 11,
)
PAIRS = (
    "AccountName=clinic",
    "AccountKey=aHVudGVyMg==",
    "SharedAccessSignature=sig=hunter2",
    "BlobEndpoint=http://[::1]:1/clinic",
)
PAIRS += ("BlobEndpoint=https://clinic.blob.core.windows.net", "EndpointSuffix=x.y", "DefaultEndpointsProtocol=http")


def urls() -> st.SearchStrategy[str]:
    """URLs whose parts are each valid or arbitrary."""
    host = st.one_of(
        st.sampled_from(("clinic", "host.example:8443", "[::1]:22", "user:hunter2@host", "")), strange.texts()
    )
    path = st.one_of(st.sampled_from(("ward/one", "a/b/", "50% of ?.csv", "a/../b", "")), strange.texts())
    tail = st.sampled_from(("", "", "?sig=hunter2", "#hunter2"))
    return st.builds("{}://{}/{}{}".format, st.one_of(st.sampled_from(SCHEMES), strange.texts()), host, path, tail)


def queries() -> st.SearchStrategy[str]:
    member = st.builds("{}={}".format, st.sampled_from(MEMBERS), st.one_of(st.sampled_from(TIMES), strange.texts()))
    return st.lists(member, max_size=6).map("&".join)


def connections() -> st.SearchStrategy[str]:
    return st.lists(st.one_of(st.sampled_from(PAIRS), strange.texts()), max_size=5).map(";".join)


@pytest.mark.parametrize(
    ("parsers", "against", "given_texts"),
    [
        ("scheme redact", "locations of any kind", urls()),
        ("s3", "locations in S3", urls()),
        ("gcs", "locations in Google Cloud Storage", urls()),
        ("azure azure_path", "locations in Azure", urls()),
        ("sftp", "locations on SFTP servers", urls()),
        ("https", "presigned URLs", urls()),
        ("local memory", "local files and memory", urls()),
        ("signature", "signed queries", queries()),
        ("connection", "Azure connection strings", connections()),
        ("pasted", "Azure keys, signatures and endpoints", st.one_of(queries(), urls(), strange.texts())),
    ],
    ids=lambda value: value if isinstance(value, str) and value.islower() else None,
)
def test_arbitrary_locations(parsers, against, given_texts, tally):
    chosen = [getattr(locations, f"_{name}") for name in parsers.split()]
    known = {ACCEPTED, "InvalidLocation", "a problem", "s3", "gcs", "azure", "plain"}
    with tally("arbitrary text", against, outcome="parsed as written, or InvalidLocation") as cases:

        @strange.examples(250)
        @given(text=st.one_of(given_texts, strange.texts()))
        def hold(text: str) -> None:
            for parser in chosen:
                assert parser(text) in known
                cases.count("held")

        hold()
