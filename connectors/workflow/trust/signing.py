"""Signatures: who says what a document says. DSSE envelopes, with securesystemslib's signers and keys.

securesystemslib loads the clients of all key services that are installed (boto3, azure-identity), which takes a second:
so it is loaded where something is signed or verified, and not by whoever reads documents alone.

Source: https://github.com/secure-systems-lab/dsse
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field, ValidationError

from connectors.errors import InvalidDocument
from connectors.workflow.documents.canonical import canonical_bytes, digest_of, parse_canonical
from connectors.workflow.documents.kinds import PublicKey
from connectors.workflow.documents.model import Base64, Digest, Document, Part, problems_of
from connectors.workflow.trust.refusals import bad_signature

if TYPE_CHECKING:
    from securesystemslib.signer import Signer, SSlibKey  # type: ignore[attr-defined]  # it has no __all__

    from connectors.workflow.documents.kinds import Party

__all__ = ["Envelope", "public_key_of", "sign"]

D = TypeVar("D", bound=Document)


def payload_type(kind: type[Document]) -> str:
    """Return what a signature says that it is over."""
    return f"application/vnd.enclave-connectors.{kind.kind.replace(' ', '-')}.v1+json"


class _Signature(Part):
    keyid: Digest
    sig: Base64


class Envelope(Part):
    """A document's bytes, and a signature over them.

    Attributes:
        payload: the bytes, in base64.
        payload_type: what they are.
        signatures: one.
    """

    payload: Base64
    payload_type: Annotated[str, Field(alias="payloadType", max_length=200)]
    signatures: Annotated[tuple[_Signature, ...], Field(min_length=1, max_length=1)]

    def members(self) -> dict[str, Any]:
        """Return its members as JSON has them."""
        return self.model_dump(mode="json", by_alias=True)

    def to_bytes(self) -> bytes:
        """Return its canonical bytes."""
        return canonical_bytes(self.members())

    @property
    def digest(self) -> str:
        """Its name: the SHA-256 of its bytes."""
        return digest_of(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Envelope:
        """Return the envelope whose bytes these are.

        Raises:
            InvalidDocument: they are not the canonical bytes of one.
        """
        members = parse_canonical(data)
        try:
            made = cls.model_validate_json(data)
        except ValidationError as error:
            message = f"this is no envelope with one signature (DSSE): {problems_of(error)}"
        else:
            if made.to_bytes() == data:
                return made
            message = (
                f"an envelope has the members payload, payloadType and signatures, and this one {', '.join(members)}"
            )
        raise InvalidDocument(message)

    def document(self, *kinds: type[D]) -> D:
        """Return what is in it, which is of one of these kinds, whoever signed it.

        Raises:
            InvalidDocument: it is no such document.
        """
        for kind in kinds:
            if self.payload_type == payload_type(kind):
                return self._document(kind)
        expected = " or ".join(kind.kind for kind in kinds)
        message = f"the envelope's payloadType is {self.payload_type!r}, and a {expected} was expected"
        raise InvalidDocument(message)

    def _document(self, kind: type[D]) -> D:
        try:
            return kind.from_bytes(base64.b64decode(self.payload))
        except InvalidDocument as error:
            problem = str(error)
        message = f"the payload that the key {self.signatures[0].keyid} is said to have signed: {problem}"
        raise InvalidDocument(message)

    def verify(self, party: Party, request: str | None = None) -> None:
        """Make sure that one of a party's keys has signed it.

        Args:
            party: the party.
            request: the digest of the request that it is about, for the error.

        Raises:
            BadSignature: none has.
        """
        from securesystemslib.dsse import Envelope as Dsse  # noqa: PLC0415 - see above
        from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError  # noqa: PLC0415
        from securesystemslib.signer import Signature  # type: ignore[attr-defined]  # noqa: PLC0415

        (signature,) = self.signatures
        known = [key for key in party.keys if key.keyid == signature.keyid]
        verified = False
        if known:
            dsse = Dsse(base64.b64decode(self.payload), self.payload_type, {})
            given = Signature(signature.keyid, base64.b64decode(signature.sig).hex())
            try:
                as_sslib(known[0]).verify_signature(given, dsse.pae())
            except (UnverifiedSignatureError, VerificationError):
                verified = False
            else:
                verified = True
        if not verified:
            raise bad_signature(party, signature.keyid, known_key=bool(known), request=request)


def as_sslib(key: PublicKey) -> SSlibKey:
    """Return a key as securesystemslib has it."""
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # noqa: PLC0415 - see above

    return SSlibKey(key.keyid, key.keytype, key.scheme, {"public": key.public})


def public_key_of(signer: Signer) -> PublicKey:
    """Return the public key of a signer, as a party's document has it.

    Raises:
        InvalidDocument: it is of a kind that is not taken.
    """
    known = signer.public_key
    try:
        members = {"keytype": known.keytype, "scheme": known.scheme, "public": known.keyval["public"]}
        return PublicKey.model_validate(members)
    except ValidationError:
        message = f"keys of the type {known.keytype!r} are not taken; use ed25519, ecdsa or rsa"
    raise InvalidDocument(message)


def sign(document: Document, signer: Signer) -> Envelope:
    """Return a document in an envelope that `signer` has signed."""
    from securesystemslib.dsse import Envelope as Dsse  # noqa: PLC0415 - see above

    dsse = Dsse(document.to_bytes(), payload_type(type(document)), {})
    made = signer.sign(dsse.pae())
    return Envelope(
        payload=base64.b64encode(dsse.payload).decode(),
        payload_type=dsse.payload_type,
        signatures=(
            _Signature(keyid=public_key_of(signer).keyid, sig=base64.b64encode(bytes.fromhex(made.signature)).decode()),
        ),
    )
