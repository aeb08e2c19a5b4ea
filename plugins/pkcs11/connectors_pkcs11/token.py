"""A token: opened for each operation, with what the errors of PKCS#11 mean.

The module is initialised for each operation and finalised after it. So a process that is forked later inherits no
session: PKCS#11 demands that it initialises the module anew. No login stays open, and sessions are few in some devices.
A fork waits for the operation of another thread to end.

Source: https://docs.oasis-open.org/pkcs11/pkcs11-spec/v3.1/pkcs11-spec-v3.1.html.
"""

from __future__ import annotations

import hmac
import os
import random
import time
from contextlib import contextmanager, suppress
from threading import RLock
from typing import TYPE_CHECKING, Any

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass, exceptions
from pkcs11.mechanisms import MGF

from connectors.errors import ConfigError, ConnectorError, KeyRefused, KeyUnavailable
from connectors.secrets import Hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connectors.secrets import SecretKey, SecretText
    from connectors_pkcs11.reference import Pkcs11Wrapping

__all__ = ["Token"]

_NONCE = 12
"""Bytes of the nonce of AES-GCM, which is in front of what it encrypts."""
_OAEP = {"SHA256": (Mechanism.SHA256, MGF.SHA256, None), "SHA1": (Mechanism.SHA_1, MGF.SHA1, None)}
_PLAIN = {Attribute.TOKEN: False, Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}
"""The attributes of a key that exists during an operation only, and whose bytes can be read."""
_BUSY = RLock()
"""Held during an operation: one at a time, because a login is of the whole process.

A fork takes it too. Otherwise the child could inherit a lock of python-pkcs11 or of the module that is held by a thread
of its parent, and wait for it forever.
"""
os.register_at_fork(before=_BUSY.acquire, after_in_parent=_BUSY.release, after_in_child=_BUSY.release)
_LOADED: dict[str, Any] = {}
"""The modules by path."""
_IN_USE: dict[str, int] = {}
"""The processes that have initialised modules here, by path; another one than this is the parent of a fork."""
_REFUSED: set[tuple[str, str, bytes]] = set()
"""The PINs that were refused in this process: the module, the token, and a digest of the PIN."""
_SALT = os.urandom(32)
"""The key of those digests, which is in this process alone."""
_PAUSES = (0.1, 0.2, 0.4)
"""The longest pauses before further attempts, in seconds."""

_CHANGED = "the key was wrapped by another key or with another context, or was changed"
_NOT_PERMITTED = "the key's attributes do not permit that (CKA_WRAP and CKA_UNWRAP, or CKA_ENCRYPT and CKA_DECRYPT)"
_OTHER_KIND = "the key is of another kind than the mechanism's"
_REASONS = {
    "PinRefusedBefore": (
        "it has refused this PIN before, and this process does not try it again, so that the token does not lock "
        "itself; correct the PIN, or, if it is the right one by now, start the process again"
    ),
    "PinIncorrect": "the PIN is wrong; correct it before the token locks itself",
    "PinInvalid": "the PIN has characters that the token does not accept",
    "PinLenRange": "the PIN is too short or too long",
    "PinExpired": "the PIN has expired; set a new one",
    "PinLocked": "the PIN is locked after too many wrong ones; have the token's security officer unlock it",
    "UserPinNotInitialized": "the token has no user's PIN yet; have its security officer set one",
    "NoSuchKey": "it has no such key; check its label, its id and that it is of the mechanism's kind",
    "MultipleObjectsReturned": "it has several such keys; give the id as well",
    "MultipleTokensReturned": "several tokens have this label",
    "KeyFunctionNotPermitted": _NOT_PERMITTED,
    "KeyTypeInconsistent": _OTHER_KIND,
    "WrappingKeyTypeInconsistent": _OTHER_KIND,
    "UnwrappingKeyTypeInconsistent": _OTHER_KIND,
    "MechanismInvalid": "it does not have this mechanism; choose another one",
    "MechanismParamInvalid": "it does not have this mechanism with this hash; choose another one",
    "ArgumentsBad": "it does not have this mechanism with this hash; choose another one",
    "FunctionNotSupported": "it does not have this mechanism; choose another one",
    "AttributeSensitive": "it does not let the unwrapped key out; its policy must permit CKA_SENSITIVE false",
    "TemplateInconsistent": "it does not let the unwrapped key out; its policy must permit CKA_SENSITIVE false",
    "AttributeValueInvalid": "it does not let the unwrapped key out; its policy must permit CKA_SENSITIVE false",
    "GeneralError": _CHANGED,
    "FunctionFailed": _CHANGED,
    "WrappedKeyInvalid": _CHANGED,
    "WrappedKeyLenRange": _CHANGED,
    "EncryptedDataInvalid": _CHANGED,
    "EncryptedDataLenRange": _CHANGED,
    "DataInvalid": _CHANGED,
    "DataLenRange": _CHANGED,
}
"""Why a token refuses, and what to do, by the names of python-pkcs11's errors, which are those of the specification."""
_OF_THE_DEVICE = frozenset({"GeneralError", "FunctionFailed", "ArgumentsBad", "DataInvalid", "DataLenRange"})
"""The errors that mean a refusal only of an operation with the key; before it, the device or its module failed."""


_WRONG_PIN = frozenset({"PinIncorrect", "PinInvalid", "PinLenRange"})
_PASSING = frozenset({"NoSuchToken", "GeneralError"})
"""The errors that also occur while another process changes something in the token."""


class KeyFunctionNotPermitted(exceptions.PKCS11Error):
    """An error of the specification that python-pkcs11 does not have."""


class Token:
    """A token with the key that wraps.

    Args:
        wrapping: names the module, the token, the key and the mechanism.
        pin: the PIN of the token's user.
    """

    def __init__(self, wrapping: Pkcs11Wrapping, pin: SecretText) -> None:
        self._wrapping = wrapping
        self._pin = pin
        self._hash = _OAEP[wrapping.hash or "SHA256"]
        self._bound = None if wrapping.context is None else wrapping.context.encode()
        digest = hmac.digest(_SALT, pin.reveal().encode(), "sha256")
        self._login = (wrapping.module, wrapping.token, digest)

    def wrap(self, key: SecretKey) -> bytes:
        """Return a key, wrapped."""
        wrapped: bytes = self._do("wrap", lambda session: self._wrapped(session, Hidden(key.reveal()))).reveal()
        return wrapped

    def unwrap(self, wrapped: bytes) -> Hidden:
        """Return the bytes that are wrapped."""
        return self._do("unwrap", lambda session: self._unwrapped(session, wrapped))

    def _wrapped(self, session: Any, data: Hidden) -> Hidden:
        match self._wrapping.mechanism:
            case "AES_KEY_WRAP":
                wrap = self._find(session, ObjectClass.SECRET_KEY, KeyType.AES, "wrap_key")
                kind = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.KEY_TYPE: KeyType.AES}
                plain = session.create_object({**kind, **_PLAIN, Attribute.VALUE: data.reveal()})
                return Hidden(wrap(plain, mechanism=Mechanism.AES_KEY_WRAP))
            case "AES_GCM":
                encrypt = self._find(session, ObjectClass.SECRET_KEY, KeyType.AES, "encrypt")
                nonce = os.urandom(_NONCE)
                sealed = encrypt(
                    data.reveal(), mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(nonce, self._bound)
                )
                return Hidden(nonce + sealed)
            case _:
                encrypt = self._find(session, ObjectClass.PUBLIC_KEY, KeyType.RSA, "encrypt")
                return Hidden(encrypt(data.reveal(), mechanism=Mechanism.RSA_PKCS_OAEP, mechanism_param=self._hash))

    def _unwrapped(self, session: Any, wrapped: bytes) -> Hidden:
        match self._wrapping.mechanism:
            case "AES_KEY_WRAP":
                unwrap = self._find(session, ObjectClass.SECRET_KEY, KeyType.AES, "unwrap_key")
                kinds = (ObjectClass.SECRET_KEY, KeyType.GENERIC_SECRET)
                plain = unwrap(*kinds, wrapped, mechanism=Mechanism.AES_KEY_WRAP, template=_PLAIN)
                return Hidden(plain[Attribute.VALUE])
            case "AES_GCM":
                decrypt = self._find(session, ObjectClass.SECRET_KEY, KeyType.AES, "decrypt")
                nonce, sealed = wrapped[:_NONCE], wrapped[_NONCE:]
                parameters = GCMParams(nonce, self._bound)
                return Hidden(decrypt(sealed, mechanism=Mechanism.AES_GCM, mechanism_param=parameters))
            case _:
                decrypt = self._find(session, ObjectClass.PRIVATE_KEY, KeyType.RSA, "decrypt")
                return Hidden(decrypt(wrapped, mechanism=Mechanism.RSA_PKCS_OAEP, mechanism_param=self._hash))

    def _find(self, session: Any, kind: ObjectClass, of: KeyType, use: str) -> Callable[..., Any]:
        """Return an operation of the key, the only one that fits."""
        wrapping = self._wrapping
        attributes: dict[Attribute, Any] = {Attribute.CLASS: kind, Attribute.KEY_TYPE: of}
        if wrapping.key is not None:
            attributes[Attribute.LABEL] = wrapping.key
        if wrapping.id is not None:
            attributes[Attribute.ID] = bytes.fromhex(wrapping.id)
        found = list(session.get_objects(attributes))  # all: a search that is left unfinished would disturb the session
        if len(found) != 1:
            raise exceptions.MultipleObjectsReturned if found else exceptions.NoSuchKey
        operation: Callable[..., Any] | None = getattr(
            found[0], use, None
        )  # python-pkcs11 leaves out what the key's attributes do not permit
        if operation is None:
            raise KeyFunctionNotPermitted
        return operation

    def _do(self, verb: str, work: Callable[[Any], Hidden]) -> Hidden:
        """Return what `work` returns in a session of the token.

        Raises:
            KeyRefused, KeyUnavailable, ConfigError: as `KeySource.unwrap` says.
        """
        for pause in (*_PAUSES, 0.0):
            name, opened, result = self._attempt(work)
            if result is not None:
                return result
            if name not in _PASSING or not pause:
                break
            time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - not used for security
        # Not raised in the handler of the library's error, which must not become the context.
        raise self._failure(name, verb, opened=opened)

    def _attempt(self, work: Callable[[Any], Hidden]) -> tuple[str, bool, Hidden | None]:
        """Return the name of an error, whether a session was open then, and what `work` returns if there was none."""
        opened = False
        with _BUSY:
            if self._login in _REFUSED:
                return "PinRefusedBefore", False, None
            try:
                with _initialised(self._wrapping.module) as module, self._open(module) as session:
                    opened = True
                    return "", True, work(session)
            except exceptions.PKCS11Error as error:
                name = type(error).__name__
            if name in _WRONG_PIN:
                _REFUSED.add(self._login)
        return name, opened, None

    @contextmanager
    def _open(self, module: Any) -> Iterator[Any]:
        token = module.get_token(token_label=self._wrapping.token)
        try:
            session = token.open(user_pin=self._pin.reveal())
        except exceptions.UserAlreadyLoggedIn:  # by other code of this process, which the login is shared with
            session = token.open()
        try:
            yield session
        finally:
            with suppress(exceptions.PKCS11Error):
                session.close()

    def _failure(self, name: str, verb: str, *, opened: bool) -> ConnectorError:
        """Return the error of ours that one of the library means."""
        wrapping = self._wrapping
        if name == "PKCS11Error" and wrapping.module not in _LOADED:
            return ConfigError(
                f"the PKCS#11 module {wrapping.module} cannot be loaded; install it, or correct its path"
            )
        if name in ("NoSuchToken", "TokenNotPresent"):
            message = (
                f"there is no PKCS#11 token {wrapping.token} in {wrapping.module}; connect it, or correct its label"
            )
            return KeyUnavailable(f"{message}; it is needed to {verb} a key by {wrapping.shown}")
        if name in _REASONS and (opened or name not in _OF_THE_DEVICE):
            return KeyRefused(f"the token refuses to {verb} a key by {wrapping.shown} ({name}): {_REASONS[name]}")
        return KeyUnavailable(f"the token cannot {verb} a key by {wrapping.shown} now ({name}); check the device")


@contextmanager
def _initialised(path: str) -> Iterator[Any]:
    """Have a module initialised, and finalised in the end unless other code of this process uses it."""
    known = _LOADED.get(path)
    if known is not None and _IN_USE.pop(path, None) not in (None, os.getpid()):  # this thread was at work as it forked
        with suppress(exceptions.PKCS11Error):
            known.finalize()
    shared = known is not None and known.initialized
    module = _LOADED[path] = pkcs11.lib(path)
    _IN_USE[path] = os.getpid()
    try:
        yield module
    finally:
        _IN_USE.pop(path, None)
        if not shared:
            with suppress(exceptions.PKCS11Error):
                module.finalize()
