"""The signature of a request is botocore's own."""

from __future__ import annotations

import hashlib

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from connectors.secrets import Hidden, SecretText
from connectors.storage import Request
from connectors.storage.http import network
from connectors_s3.signer import SigV4Signer

BODY = b"ward,beds\n3,12\n"


@pytest.mark.parametrize("token", [None, "FwoGZXIvYXdzEXAMPLE//=="], ids=["key", "temporary key"])
@pytest.mark.parametrize(
    ("method", "target", "headers", "body"),
    [
        ("GET", "/clinic/wards/50%25%20of%20%C3%BC.csv", {"Range": "bytes=0-69631", "If-Match": '"ab c"'}, None),
        ("GET", "/clinic?list-type=2&prefix=a%2Fb&delimiter=%2F&empty=&a=2&a=1", {}, None),
        ("PUT", "/clinic/x", {"If-None-Match": "*", "x-amz-acl": " private   to  me "}, BODY),
        ("POST", "/clinic/x?uploads=", {"x-amz-request-payer": "requester"}, b""),
        ("HEAD", "/", {}, None),
    ],
)
@pytest.mark.parametrize("url", ["https://s3.eu-west-1.amazonaws.com", "http://[::1]:9000"])
def test_it_is_what_botocore_signs(url, method, target, headers, body, token, monkeypatch):
    real = botocore.auth.get_current_datetime
    moment = real()
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: moment)
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    signer = SigV4Signer(lambda: credentials, lambda _: "eu-west-1")
    secrets = Hidden({"x-amz-server-side-encryption-customer-key": "a2V5"})
    request = Request(method, network.Origin.of(url), SecretText(target), headers, body, secrets)
    signed = signer.sign(request)

    theirs = AWSRequest(method, url + target, headers={**headers, **secrets.reveal()}, data=body)
    botocore.auth.S3SigV4Auth(credentials, "s3", "eu-west-1").add_auth(theirs)
    assert signed.headers == dict(theirs.headers.items())
    assert signed.headers["X-Amz-Content-SHA256"] == hashlib.sha256(body or b"").hexdigest()
    assert signed.secrets is None


def test_the_key_is_of_the_day_the_region_and_the_account(monkeypatch):
    at = botocore.auth.get_current_datetime()
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: at)
    held = [Credentials("AKIDONE", "one")]
    region = ["eu-west-1"]

    class Refreshed:
        def get_frozen_credentials(self):
            return held[0].get_frozen_credentials()

    signer = SigV4Signer(Refreshed, lambda _: region[0])
    request = Request("GET", network.Origin.of("https://s3.example.org"), SecretText("/clinic/x"))

    def check():
        theirs = AWSRequest("GET", "https://s3.example.org/clinic/x")
        botocore.auth.S3SigV4Auth(held[0], "s3", region[0]).add_auth(theirs)
        assert signer.sign(request).headers == dict(theirs.headers.items())

    check()
    at = at.replace(year=at.year + 1)
    check()
    region[0] = "us-east-1"
    check()
    held[0] = Credentials("AKIDONE", "two")
    check()
    held[0] = Credentials("AKIDTWO", "two", "token")
    check()


@pytest.mark.parametrize("token", [None, "FwoGZXIvYXdzEXAMPLE//=="], ids=["key", "temporary key"])
@pytest.mark.parametrize("target", ["/", "/gateway/kms/", "/a//b c/../d%20e/"])
def test_it_is_what_botocore_signs_for_other_services(target, token, monkeypatch):
    moment = botocore.auth.get_current_datetime()
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: moment)
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    signer = SigV4Signer(lambda: credentials, lambda _: "eu-west-1", "kms")
    url, headers = "https://kms.eu-west-1.amazonaws.com", {"X-Amz-Target": "TrentService.Decrypt"}
    signed = signer.sign(Request("POST", network.Origin.of(url), SecretText(target), headers, BODY))

    theirs = AWSRequest("POST", url + target, headers=headers, data=BODY)
    botocore.auth.SigV4Auth(credentials, "kms", "eu-west-1").add_auth(theirs)
    assert signed.headers == dict(theirs.headers.items())
    assert "X-Amz-Content-SHA256" not in signed.headers
