"""Sign with keys in an SSH agent: in its memory, in a token, or in another program with the same protocol.

An agent makes the same signatures as the key itself, so verifiers see no difference. The signed bytes begin with the
name of DSSE, so they cannot be mistaken for anything that SSH signs.

Source: https://datatracker.ietf.org/doc/html/draft-miller-ssh-agent
"""

from __future__ import annotations

import base64
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import Signature, Signer  # type: ignore[attr-defined]  # it has no __all__

from connectors.errors import ConfigError

if TYPE_CHECKING:
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

__all__ = ["SCHEME", "AgentSigner"]

SCHEME = "ssh-agent"
"""The scheme of the signer's URI."""
_ALGORITHMS = {"rsa": "rsa-sha2-256"}


class AgentSigner(Signer):
    """Signs with a key that the agent at ``$SSH_AUTH_SOCK`` holds.

    Args:
        public_key: the key's public half.

    Raises:
        ConfigError: paramiko is not installed.
    """

    def __init__(self, public_key: SSlibKey) -> None:
        _paramiko()
        self._public_key = public_key

    @property
    def public_key(self) -> SSlibKey:
        """The key's public half."""
        return self._public_key

    @classmethod
    def from_priv_key_uri(cls, priv_key_uri: str, public_key: Any, secrets_handler: object = None) -> AgentSigner:
        """Return a signer, for ``ssh-agent:``.

        Raises:
            ConfigError: the URI has more than the scheme, or paramiko is not installed.
        """
        del secrets_handler  # an agent asks for its secrets itself
        if priv_key_uri != f"{SCHEME}:":
            message = f"the URI of an SSH agent is just {SCHEME}: without a path; SSH_AUTH_SOCK names the agent"
            raise ConfigError(message)
        return cls(public_key)

    def sign(self, payload: bytes) -> Signature:
        """Return a signature.

        Raises:
            ConfigError: there is no agent, it does not hold the key, or its signature is not valid.
        """
        paramiko = _paramiko()
        blob = _blob_of(self._public_key)
        problem = ""
        try:
            with closing(paramiko.Agent()) as agent:
                held = [key for key in agent.get_keys() if key.asbytes() == blob]
                if held:
                    answer = held[0].sign_ssh_data(payload, _ALGORITHMS.get(self._public_key.keytype))
                    signature = Signature(self._public_key.keyid, _plain(paramiko.Message(answer)).hex())
                    self._public_key.verify_signature(signature, payload)
                    return signature
            problem = "no SSH agent is running, or it does not hold the key; start one, then run: ssh-add FILE"
        except (paramiko.SSHException, OSError) as error:
            problem = f"the SSH agent did not sign: {error}"
        except (UnverifiedSignatureError, VerificationError, ValueError, struct.error):
            problem = "the SSH agent did not return a valid signature with this key"
        raise ConfigError(problem)


def _blob_of(key: SSlibKey) -> bytes:
    """Return a public key in SSH's wire format."""
    text = key.keyval["public"]
    if key.keytype == "ed25519":
        line = Ed25519PublicKey.from_public_bytes(bytes.fromhex(text)).public_bytes(
            Encoding.OpenSSH, PublicFormat.OpenSSH
        )
    else:
        line = load_pem_public_key(text.encode()).public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return base64.b64decode(line.split()[1])


def _plain(answer: Any) -> bytes:
    """Convert a signature from SSH's format to the usual one."""
    kind, signature = answer.get_text(), answer.get_binary()
    if not kind.startswith("ecdsa-"):
        return bytes(signature)
    numbers = type(answer)(signature)
    return encode_dss_signature(numbers.get_mpint(), numbers.get_mpint())


def _paramiko() -> Any:
    try:
        import paramiko  # noqa: PLC0415 - an extra
    except ImportError:
        pass
    else:
        return paramiko
    message = "SSH agents need another package; install it with: pip install 'enclave-connectors[ssh-agent]'"
    raise ConfigError(message)
