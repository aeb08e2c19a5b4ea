"""Requests that go to the host they are for, and to no other.

aiobotocore lets aiohttp follow redirects, and aiohttp takes only the Authorization header off a request that goes to
another host: a store, or whoever stands before it, could have the session token and the sealed bytes sent to anybody.
"""

from __future__ import annotations

from typing import Any

from connectors_s3.s3fs_types import AIOHTTPSession

__all__ = ["DirectSession"]


class _Direct:
    """aiohttp's session, whose answers are those of the host that was asked."""

    def __init__(self, session: Any) -> None:
        self._session = session

    async def request(self, method: str, **options: Any) -> Any:
        return await self._session.request(method, **options, allow_redirects=False)


class DirectSession(AIOHTTPSession):
    """aiobotocore's HTTP session, which follows no redirects: botocore is given them, and makes errors of them."""

    async def _get_session(self, proxy_url: str | None) -> Any:
        return _Direct(await super()._get_session(proxy_url))
