"""Keys with which others could sign are refused where a party is accepted and where a signature is verified."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from parties import NOW, bundle_of, decided, person, requested
from pydantic import ValidationError
from securesystemslib.dsse import Envelope as Dsse
from securesystemslib.signer import CryptoSigner

from connectors.errors import WeakKey
from connectors.workflow.documents.kinds import Decision, Party, PublicKey
from connectors.workflow.documents.model import moment_text
from connectors.workflow.documents.requests import make_request
from connectors.workflow.store.folder import FolderStore
from connectors.workflow.store.transfer import receive
from connectors.workflow.trust.identities import Identities
from connectors.workflow.trust.public_keys import check_key, check_party
from connectors.workflow.trust.signing import Envelope, payload_type, public_key_of
from connectors.workflow.trust.verification import status

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def added(one, other):
    """The sum of two points of the curve, as RFC 8032 defines it."""
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P,
    )


def torsion() -> set[tuple[int, int]]:
    """All eight points whose order divides 8: multiples of l times a point of the curve."""
    order = 2**252 + 27742317777372353535851937790883648493
    root = pow(2, (P - 1) // 4, P)
    for y in range(2, 100):
        square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
        x = pow(square, (P + 3) // 8, P)
        x = x if x * x % P == square else x * root % P
        if x * x % P != square:
            continue
        found, double, left = (0, 1), (x, y), order
        while left:
            found = added(found, double) if left & 1 else found
            double, left = added(double, double), left >> 1
        points, one = {(0, 1)}, found
        while one not in points:
            points.add(one)
            one = added(one, found)
        if len(points) == 8:
            return points
    raise AssertionError


def encodings() -> list[str]:
    """All 32-byte strings that decode to these points: canonical, with y + p, and with the other sign of zero."""
    found = set()
    for x, y in torsion():
        for one in (y, y + P):
            for sign in {x & 1} if x else {0, 1}:
                if one < 2**255:
                    found.add((one | sign << 255).to_bytes(32, "little").hex())
    return sorted(found)


def pem(key) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def rsa_key(bits: int = 2048, exponent: int = 65537) -> str:
    return pem(rsa.RSAPublicNumbers(exponent, (1 << bits - 1) + 12345).public_key())


SHORT = rsa.generate_private_key(65537, 1024)
P256 = pem(ec.generate_private_key(ec.SECP256R1()).public_key())
WEAK = {
    "not hexadecimal": ("ed25519", "ed25519", "zz" * 32, "64 hexadecimal digits"),
    "capital letters": ("ed25519", "ed25519", "AB" * 32, "64 hexadecimal digits"),
    "31 bytes": ("ed25519", "ed25519", "05" * 31, "64 hexadecimal digits"),
    "above p": ("ed25519", "ed25519", "f0" + "ff" * 30 + "7f", "canonically"),
    "Ed25519, another scheme": ("ed25519", "frob", "05" * 32, "no supported scheme"),
    "RSA with SHA-1": ("rsa", "rsa-pkcs1v15-sha1", rsa_key(), "no supported scheme"),
    "RSA with MD5": ("rsa", "rsassa-pss-md5", rsa_key(), "no supported scheme"),
    "RSA of 1024 bits": ("rsa", "rsassa-pss-sha256", pem(SHORT.public_key()), "1024 bits"),
    "RSA of 2047 bits": ("rsa", "rsassa-pss-sha256", rsa_key(2047), "2047 bits"),
    "RSA, exponent 3": ("rsa", "rsa-pkcs1v15-sha256", rsa_key(exponent=3), "exponent"),
    "RSA, large exponent": ("rsa", "rsa-pkcs1v15-sha256", rsa_key(exponent=2**300 + 1), "exponent"),
    "DSA": ("rsa", "rsassa-pss-sha256", pem(dsa.generate_private_key(1024).public_key()), "not a key of the type rsa"),
    "EC as RSA": ("rsa", "rsassa-pss-sha256", P256, "not a key of the type rsa"),
    "RSA as EC": ("ecdsa", "ecdsa-sha2-nistp256", rsa_key(), "not a key of the type ecdsa"),
    "another curve": ("ecdsa", "ecdsa-sha2-nistp384", P256, "curve secp256r1"),
    "a Bitcoin curve": ("ecdsa", "ecdsa-sha2-nistp256", pem(ec.generate_private_key(ec.SECP256K1()).public_key()), "secp256k1"),
    "no PEM": ("ecdsa", "ecdsa-sha2-nistp256", "aGVsbG8=", "PEM"),
    "an empty PEM": ("rsa", "rsassa-pss-sha256", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "PEM"),
    "a certificate": ("rsa", "rsassa-pss-sha256", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "PEM"),
}  # fmt: skip


def weak(name: str) -> tuple[PublicKey, str]:
    kind, scheme, public, why = WEAK[name]
    return PublicKey(keytype=kind, scheme=scheme, public=public), why


def test_all_encodings_of_points_of_small_order_are_refused():
    known = encodings()
    assert len(torsion()) == 8
    assert len(known) == 14
    for public in known:
        with pytest.raises(WeakKey, match=r"small order|canonically"):
            check_key(PublicKey(keytype="ed25519", scheme="ed25519", public=public), "Eve")


def test_without_the_refusal_one_signature_would_verify_for_any_message():
    forged = (1).to_bytes(32, "little") + bytes(32)
    key = Ed25519PublicKey.from_public_bytes((1).to_bytes(32, "little"))
    for message in (b"approve", b"anything else"):
        key.verify(forged, message)  # raises nothing


@pytest.mark.parametrize("name", WEAK)
def test_weak_keys_are_refused_with_the_reason(name):
    key, why = weak(name)
    with pytest.raises(WeakKey, match=why) as caught:
        check_key(key, "Eve")
    assert "'Eve'" in str(caught.value)
    assert caught.value.key_id == key.keyid
    assert caught.value.reason in str(caught.value)


@pytest.mark.parametrize(
    "private",
    [
        rsa.generate_private_key(65537, 2048),
        *(ec.generate_private_key(curve) for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())),
    ],
    ids=["rsa", "p256", "p384", "p521"],
)
def test_good_keys_are_accepted_and_verify(private):
    signer = CryptoSigner(private)
    party = Party(name="x", contact="y", keys=(public_key_of(signer),))
    check_party(party)
    decided(requested()[1], person("Lab B"), signer=signer).verify(party)


def test_a_weak_key_is_refused_where_a_party_is_accepted(tmp_path):
    known = Identities(str(tmp_path / "identities"))
    for name in ("RSA of 1024 bits", "above p", "a Bitcoin curve"):
        # The first key is good: every key counts.
        party = Party(name="Eve", contact="e", keys=(*person("Eve").party.keys, weak(name)[0]))
        with pytest.raises(WeakKey):
            known.trust(party)
        with pytest.raises(WeakKey):
            receive(FolderStore(str(tmp_path / "store")), party.to_bytes())
    assert known.trusted() == {}
    with pytest.raises(WeakKey, match="1024 bits"):
        known.with_signer("eve", "e", "ssh-agent:", pem(SHORT.public_key()).encode())
    assert known.all() == {}


def said(party: Party, digest: str, sign) -> Envelope:
    """A party's approval, signed with its last key by a function of the bytes to sign."""
    decision = Decision(request=digest, party=party.digest, verdict="approve", when=moment_text(NOW))
    dsse = Dsse(decision.to_bytes(), payload_type(Decision), {})
    return Envelope.model_validate(
        {
            "payload": base64.b64encode(dsse.payload).decode(),
            "payload_type": dsse.payload_type,
            "signatures": ({"keyid": party.keys[-1].keyid, "sig": base64.b64encode(sign(dsse.pae())).decode()},),
        }
    )


@pytest.mark.parametrize(
    ("key", "sign"),
    [
        (
            PublicKey(keytype="ed25519", scheme="ed25519", public="01" + "00" * 31),
            lambda _: (1).to_bytes(32, "little") + bytes(32),
        ),
        (
            PublicKey(keytype="rsa", scheme="rsa-pkcs1v15-sha256", public=pem(SHORT.public_key())),
            lambda data: SHORT.sign(data, padding.PKCS1v15(), hashes.SHA256()),
        ),
    ],
    ids=["small order", "short RSA"],
)
def test_a_valid_signature_by_a_weak_key_does_not_count(key, sign):
    told, asked = requested()
    eve = Party(name="Eve", contact="e", keys=(key,))
    (data,) = [one for one in told.documents.values() if getattr(one, "location", "").startswith("s3")]
    hers = data.model_copy(update={"owner": eve.digest})
    documents = {**told.documents, eve.digest: eve, hers.digest: hers}
    workflow = asked.graph.workflow
    objects = {**workflow.objects, "conditions": {"dataset": hers.digest}}
    changed = type(workflow).make(name="x", objects=objects, edges=workflow.edges)
    request = make_request(changed, documents, told.lab.party, created=NOW)
    envelope = said(eve, request.digest, sign)
    with pytest.raises(WeakKey, match="'Eve' is refused"):
        status(bundle_of(request, envelope), {eve.digest, *request.approvers}, NOW)


@pytest.mark.parametrize(
    "around", ["\x1b[2J\u202e\n{}", "Trusted by Clinic A\n\n{}", "{}\nand more", "{}{}", " {}"], ids=ascii
)
def test_a_key_has_no_text_around_it(around):
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    public = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    members = {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256"}
    check_key(PublicKey(**members, public=public), "x")
    with pytest.raises(ValidationError, match="PEM without any other text"):
        PublicKey(**members, public=around.replace("{}", public))
