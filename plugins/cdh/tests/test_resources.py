"""Resources, and what the guest's API server responds in the place of one."""

from __future__ import annotations

from typing import Any

import pytest
from canaries import Canaries
from hostile import Answer
from watching import everything_logged, frames_of, texts_of

from connectors.errors import ConnectorError, InvalidCredentials, InvalidKey, KeyRefused, KeyUnavailable, NotSupported
from connectors.keys import reference, source_of, wrapping
from connectors.secrets import SecretKey

KEY = SecretKey("a5" * 32)


def unwrapped(document: dict[str, Any]) -> SecretKey:
    return source_of("cdh").unwrap(reference(document), None)


@pytest.mark.parametrize(
    "data",
    [
        KEY.reveal(),
        KEY.reveal().hex().encode(),
        KEY.reveal().hex().upper().encode(),
        b" " + KEY.reveal().hex().encode() + b"\r\n",
    ],
)
def test_resource_is_the_key(guest: Any, data: bytes) -> None:
    assert unwrapped(guest.put(data)) == KEY
    assert guest.seen[-1].target == "/cdh/resource/clinic/key/0"


@pytest.mark.parametrize(
    "text",
    [
        b"00112233445566778899aabbccddeeff",
        b"a secret sentence of 32 letters.",
        b" 0123456789abcdef0123456789abc\r\n",
        b"\t" * 32,
    ],
)
def test_text_of_32_characters_is_no_key(guest: Any, text: bytes) -> None:
    with pytest.raises(
        InvalidKey, match="a key, which is 32 random bytes, not text, or 64 hexadecimal digits"
    ) as caught:
        unwrapped(guest.put(text))
    assert text.decode() not in "".join(texts_of(caught.value))


@pytest.mark.parametrize("byte", [b"\x00", b"\x7f", b"\x80", b"\xff"])
def test_raw_key_has_a_byte_that_is_no_text(guest: Any, byte: bytes) -> None:
    raw = b"a secret sentence of 31 letters" + byte
    assert unwrapped(guest.put(raw)) == SecretKey(raw)


def test_path_of_the_address_is_kept(guest: Any) -> None:
    document = {**guest.put(KEY.reveal()), "address": f"{guest.url}/below/"}
    with pytest.raises(KeyRefused, match=r"guest_components_rest_api=resource"):
        unwrapped(document)
    assert guest.seen[-1].target == "/below/cdh/resource/clinic/key/0"


def test_refusal_is_asked_again_since_it_may_be_an_outage(guest: Any) -> None:
    document = guest.put(KEY.reveal())
    guest.answers = [Answer(500, {}, b"rpc status"), Answer(502)]
    assert unwrapped(document) == KEY


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (500, KeyUnavailable, "attestation failed, or the key broker's policy refuses the resource, or it has none"),
        (503, KeyUnavailable, "cannot give"),
        (302, KeyUnavailable, "it redirects (302), and redirects are not followed"),
        (403, KeyRefused, "loopback interface only; check the address and the network namespace"),
        (404, KeyRefused, "serves no resources; start the guest with agent.guest_components_rest_api"),
        (405, KeyRefused, "refuses to give"),
    ],
)
def test_status_is_told_in_words(guest: Any, status: int, kind: type[ConnectorError], told: str) -> None:
    document = guest.put(KEY.reveal())
    said = f"the server said hunter{1 + 1}-hunter{1 + 1}"
    guest.answers = [Answer(status, {}, said.encode())] * 3
    with pytest.raises(kind) as caught:
        unwrapped(document)
    assert told in str(caught.value)
    assert said not in "".join(texts_of(caught.value))


def test_enormous_resource_is_not_read(guest: Any) -> None:
    with pytest.raises(KeyUnavailable, match="too large a response"):
        unwrapped(guest.put(bytes(1 << 19)))


@pytest.mark.parametrize("size", [24, 31, 33, 63, 65])
def test_what_is_no_key_is_shown_nowhere(guest: Any, size: int) -> None:
    data = KEY.reveal().hex().encode()[: size - 1] + b"!"
    document = guest.put(data)
    with everything_logged() as logged, pytest.raises(InvalidKey, match=rf"it has {len(data)} bytes") as caught:
        unwrapped(document)
    shown = [*logged, *texts_of(caught.value), *(text for _, text in frames_of(caught.value))]
    Canaries({"resource": data}).check("logs, texts and frames", shown)


def test_wrapping_is_not_supported() -> None:
    with pytest.raises(NotSupported, match="'cdh' wraps no keys; it gives keys that its owner has put there"):
        wrapping({"source": "cdh", "resource": "clinic/key/conditions"})


def test_address_is_the_guest_s_own_unless_given() -> None:
    found = reference({"source": "cdh", "resource": "clinic/key/conditions"})
    holder = "the resource clinic/key/conditions at http://127.0.0.1:8006 of the Confidential Data Hub"
    assert source_of("cdh").holder(found) == holder


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"resource": "clinic/key"}, "resource: a resource is REPOSITORY/TYPE/TAG, such as clinic/key/conditions"),
        ({"resource": "kbs:///clinic/key/one"}, "resource: a resource is"),
        ({"resource": "clinic/../one"}, "resource: a resource is"),
        ({"resource": "clinic/key/one?x=y"}, "resource: a resource is"),
        (
            {"address": "http://cdh.example:8006"},
            "address: not a loopback address; the Confidential Data Hub is inside",
        ),
        ({"address": "https://10.0.0.1"}, "address: not a loopback address"),
        ({"address": "127.0.0.1:8006"}, "address: an endpoint is a URL such as http://127.0.0.1:8006"),
        ({"wrapped": "AAAA"}, "wrapped: unknown member"),
    ],
)
def test_invalid_reference_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidCredentials) as caught:
        reference({"source": "cdh", "resource": "clinic/key/conditions", **changes})
    assert told in str(caught.value)
