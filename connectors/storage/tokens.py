"""Bearer tokens: one that somebody issued, or new ones, each used until it expires."""

from __future__ import annotations

import dataclasses
import os
import re
import time
from abc import ABC, abstractmethod
from threading import Lock
from typing import TYPE_CHECKING

from connectors.errors import ConnectorError
from connectors.secrets import SecretText

if TYPE_CHECKING:
    from connectors.storage.http.messages import Request

__all__ = ["BearerSigner", "Tokens", "token_of"]

_TOKEN = re.compile(r"[!-~]{1,65536}")
_MARGIN = 300.0
"""Seconds before its end from which a token is not used any more; of one that lives shortly, a quarter of its life."""


class Tokens(ABC):
    """Tokens that are issued on request. Safe in threads, and in a forked child.

    Args:
        subject: what logs in, for messages.
    """

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self._held: tuple[SecretText, float] | None = None  # until when it is used
        self._failures: list[ConnectorError] = []  # the last one; a new list for each
        # One by process: a fork could leave the parent's lock held.
        self._locks: dict[int, Lock] = {}

    def token(self) -> SecretText:
        """Return a token, a new one if the last is about to expire.

        Raises:
            AccessDenied, CredentialsExpired: no token is issued.
            StorageUnavailable: the login server cannot be reached.
        """
        failures = self._failures
        with self._locks.setdefault(os.getpid(), Lock()):
            held = self._held
            if held is None or time.time() > held[1]:
                # Threads that waited while another could not log in have its error, rather than each its own timeout.
                issued = self.log_in() if failures is self._failures else self._failures[0]
                if isinstance(issued, ConnectorError):
                    self._failures = [issued]
                    raise issued
                token, ends = issued
                held = self._held = (token, ends - min(_MARGIN, max(0.0, ends - time.time()) / 4))
            return held[0]

    def drop(self) -> None:
        """Forget the token: the next one is new."""
        self._held = None

    @abstractmethod
    def log_in(self) -> tuple[SecretText, float] | ConnectorError:
        """Return a new token, and when it expires in seconds since the epoch; or why there is none.

        The error is not raised here, because its traceback would have a response or a key in a local variable.
        """


class BearerSigner:
    """Authorises requests with tokens. Which resource a server that refuses one asks for is ignored.

    Args:
        tokens: issues them; or the only token.

    Attributes:
        renewable: whether a new token can be had.
    """

    def __init__(self, tokens: Tokens | SecretText) -> None:
        self._tokens = tokens
        self.renewable = isinstance(tokens, Tokens)

    def sign(self, request: Request) -> Request:
        """Return the request with a token. Raises as `Tokens.token` does."""
        token = self._tokens.token() if isinstance(self._tokens, Tokens) else self._tokens
        headers = {**request.headers, "Authorization": f"Bearer {token.reveal()}"}
        return dataclasses.replace(request, headers=headers)

    def renew(self) -> bool:
        """Drop the token; return whether a new one can be had."""
        if isinstance(self._tokens, Tokens):
            self._tokens.drop()
        return self.renewable


def token_of(text: object) -> SecretText | None:
    """Return a token that was issued, or None if no header can hold it; http.client's error would quote it."""
    return SecretText(text) if isinstance(text, str) and _TOKEN.fullmatch(text) else None
