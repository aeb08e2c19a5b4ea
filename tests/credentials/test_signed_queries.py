"""What is missing or contradictory in shared access signatures, and what happened to signed queries on their way."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.credentials import Credentials
from connectors.credentials.expiry import not_yet_valid, sas_start, utc
from connectors.credentials.sas import SAS_NAMES, sas_problems
from connectors.credentials.signed_queries import query_damage

SIGNATURE = "5ec2e7" * 7 + "0%3D"
SERVICE = f"sv=2024-11-04&st=2026-01-01&se=2099-01-02T03:04:05Z&sr=c&sp=rl&sig={SIGNATURE}"
ACCOUNT = f"sv=2024-11-04&ss=b&srt=sco&se=2099-01-02&sp=rw&sig={SIGNATURE}"
POLICY = f"sv=2024-11-04&si=readers&sr=b&sig={SIGNATURE}"


@pytest.mark.parametrize("sas", [SERVICE, ACCOUNT, POLICY, f"?{SERVICE}", SERVICE.replace("%3D", "=")])
def test_a_whole_sas_has_no_problem(sas):
    assert sas_problems(sas) == ()


@pytest.mark.parametrize("sas", [SERVICE, ACCOUNT, POLICY])
def test_each_parameter_that_is_missing_is_named(sas):
    pairs = sas.split("&")
    for pair in pairs:
        name = pair.partition("=")[0]
        found = sas_problems("&".join(one for one in pairs if one is not pair))
        if name == "st":  # a SAS without a start is valid at once
            assert found == ()
        elif name == "si":  # without a policy, it needs permissions and an end of its own
            assert found == ("sp and se of a service SAS are missing; copy the URL again",)
        else:
            assert re.search(rf"\b{name}\b.* missing", found[0])


@pytest.mark.parametrize(
    ("sas", "rule"),
    [
        (SERVICE[:-10], "sig, the signature, is cut short: 36 of 44 characters"),
        (SERVICE + "00", "sig is not a signature, which is 44 characters"),
        (SERVICE.replace("se=2099", "se=20"), "se is not a time"),
        (SERVICE.replace("sv=2024-11-04", "sv=2024"), "sv is not a version"),
        (SERVICE.replace("sp=rl", "sp=l"), "neither reading"),
        (SERVICE.replace("st=2026", "st=2100"), "it ends"),
        (ACCOUNT.replace("ss=b", "ss=qt"), "do not include blobs"),
        (ACCOUNT.replace("srt=sco", "srt=sc"), "do not include objects"),
    ],
)
def test_a_contradiction_is_told(sas, rule):
    assert any(rule in one for one in sas_problems(sas))
    assert "5ec2e7" not in " ".join(sas_problems(sas))


def test_a_sas_for_https_contradicts_an_http_location():
    [found] = sas_problems(f"{SERVICE}&spr=https", "http://127.0.0.1:10000/clinic/a")
    assert "allows only https" in found
    assert sas_problems(f"{SERVICE}&spr=https,http", "http://127.0.0.1:10000/clinic/a") == ()


def test_the_start_of_a_sas_is_the_later_one_of_its_own_and_its_keys():
    assert sas_start(f"{SERVICE}&skt=2026-02-01") == utc("2026-02-01")
    assert sas_start(POLICY) is None
    assert not_yet_valid(sas_start(SERVICE)) is None
    assert not_yet_valid(datetime.now(UTC) + timedelta(seconds=200)) is None  # the signer's clock may be ahead
    assert "not valid before 2098-01-01" in (not_yet_valid(utc("2098-01-01")) or "")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (SERVICE, ()),
        (SERVICE.replace("&", ""), ("the & before st, se, sr, sp, sig was lost; copy the URL again",)),
        (SERVICE.replace("&", ";"), ("its parameters are separated by ; instead of &; copy the URL again",)),
        (SERVICE.replace("&", "&amp;"), ("it was copied from HTML, with &amp; in place of &; copy the URL again",)),
        (
            SERVICE.replace("%3D", "%253D"),
            ("it is percent-encoded twice, with %25 in place of % in sig; copy the URL again",),
        ),
        (f"{POLICY}&sr=c", ("it has sr more than once; copy the URL again",)),
        ("sig=c2U=&sv=2024-11-04", ()),
        (f"sig=sv==&{POLICY[:30]}", ()),
    ],
)
def test_damage_is_told(query, said):
    assert query_damage(query, SAS_NAMES) == said


PARTS = (*re.split("([&=])", SERVICE), "%25", "%3D", "%26", "&amp;", ";", r"\u0026", "skoid", "ss", "5ec2e7" * 8)


@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=3)))
def test_any_sas_is_checked_without_quoting_it(parts):
    said = " ".join(sas_problems("".join(parts)))
    assert "5ec2e7" not in said


def test_credentials_have_no_problems_unless_their_model_finds_some():
    assert Credentials(encryption=None).problems("https://clinic.example/a") == ()
