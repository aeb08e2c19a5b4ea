"""Sign documents and verify signatures: DSSE envelopes, with securesystemslib's signers and keys.

Importing securesystemslib loads the clients of all installed key services (boto3, azure-identity), which takes a
second. So it is imported only where something is signed or verified, not for reading documents.

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
from connectors.workflow.trust.public_keys import check_key
from connectors.workflow.trust.refusals import bad_signature

if TYPE_CHECKING:
    from securesystemslib.signer import Signer, SSlibKey  # type: ignore[attr-defined]  # it has no __all__

    from connectors.workflow.documents.kinds import Party

__all__ = ["Envelope", "public_key_of", "sign"]

D = TypeVar("D", bound=Document)


def payload_type(kind: type[Document]) -> str:
    """Return the payload type that signatures over such a document cover."""
    return f"application/vnd.enclave-connectors.{kind.kind.replace(' ', '-')}.v1+json"


class _Signature(Part):
    keyid: Digest
    sig: Base64


class Envelope(Part):
    """A document's bytes and a signature over them.

    Attributes:
        payload: the bytes, in base64.
        payload_type: the kind of document.
        signatures: exactly one.
    """

    payload: Base64
    payload_type: Annotated[str, Field(alias="payloadType", max_length=200)]
    signatures: Annotated[tuple[_Signature, ...], Field(min_length=1, max_length=1)]

    def members(self) -> dict[str, Any]:
        """Return its members as JSON values."""
        return self.model_dump(mode="json", by_alias=True)

    def to_bytes(self) -> bytes:
        """Return its canonical bytes."""
        return canonical_bytes(self.members())

    @property
    def digest(self) -> str:
        """The digest that names it: the SHA-256 of its bytes."""
        return digest_of(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Envelope:
        """Parse an envelope.

        Raises:
            InvalidDocument: the bytes are not the canonical form of an envelope.
        """
        members = parse_canonical(data)
        try:
            made = cls.model_validate_json(data)
        except ValidationError as error:
            message = f"this is not an envelope with one signature (DSSE): {problems_of(error)}"
        else:
            if made.to_bytes() == data:
                return made
            message = (
                f"an envelope has the members payload, payloadType and signatures, this one has {', '.join(members)}"
            )
        raise InvalidDocument(message)

    def document(self, *kinds: type[D]) -> D:
        """Return the document in it, of one of these kinds, without verifying the signature.

        Raises:
            InvalidDocument: the payload is not such a document.
        """
        for kind in kinds:
            if self.payload_type == payload_type(kind):
                return self._document(kind)
        expected = " or ".join(kind.kind for kind in kinds)
        message = f"the envelope's payloadType is {self.payload_type!r}, but a {expected} was expected"
        raise InvalidDocument(message)

    def _document(self, kind: type[D]) -> D:
        try:
            return kind.from_bytes(base64.b64decode(self.payload))
        except InvalidDocument as error:
            problem = str(error)
        message = f"the payload that the key {self.signatures[0].keyid} is said to have signed: {problem}"
        raise InvalidDocument(message)

    def verify(self, party: Party, request: str | None = None) -> None:
        """Verify that it is signed with one of a party's keys.

        Args:
            party: the party.
            request: the digest of the request that the statement is about, for the error.

        Raises:
            BadSignature: it is not.
            WeakKey: the key that is said to have signed it is one with which others could sign.
        """
        from securesystemslib.dsse import Envelope as Dsse  # noqa: PLC0415 - see above
        from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError  # noqa: PLC0415
        from securesystemslib.signer import Signature  # type: ignore[attr-defined]  # noqa: PLC0415

        (signature,) = self.signatures
        known = [key for key in party.keys if key.keyid == signature.keyid]
        verified = False
        if known:
            check_key(known[0], party.name)
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
    """Return a key as a securesystemslib object."""
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # noqa: PLC0415 - see above

    return SSlibKey(key.keyid, key.keytype, key.scheme, {"public": key.public})


def public_key_of(signer: Signer) -> PublicKey:
    """Return the public key of a signer, in the form of a party's document.

    Raises:
        InvalidDocument: keys of its type are not supported.
    """
    known = signer.public_key
    try:
        members = {"keytype": known.keytype, "scheme": known.scheme, "public": known.keyval["public"]}
        return PublicKey.model_validate(members)
    except ValidationError:
        message = f"keys of the type {known.keytype!r} are not supported; use ed25519, ecdsa or rsa"
    raise InvalidDocument(message)


def sign(document: Document, signer: Signer) -> Envelope:
    """Sign a document, and return it in an envelope."""
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
