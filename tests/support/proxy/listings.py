"""Rules that make the storage lie in listings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from responding import put_body

if TYPE_CHECKING:
    from mitmproxy import http

_TOKEN = "<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>"
_MARKER = "<NextMarker>{}</NextMarker>"


def is_listing(flow: http.HTTPFlow) -> bool:
    """Tell whether a request lists objects of S3 or Azure."""
    return flow.request.method == "GET" and bool(re.search(r"[?&](list-type=2|comp=list)\b", flow.request.path))


class Edit:
    """The text of listings is edited.

    Args:
        edits: regular expressions, each with the replacement of its matches.
    """

    def __init__(self, edits: list[tuple[str, str]]) -> None:
        self.edits = edits

    def response(self, flow: http.HTTPFlow) -> None:
        """Edit the listing."""
        if is_listing(flow) and flow.response.status_code == 200:
            text = flow.response.raw_content.decode()
            for found, instead in self.edits:
                text = re.sub(found, instead, text, flags=re.DOTALL)
            put_body(flow.response, text.encode())


class Endless:
    """A listing that always has another page.

    Args:
        token: the token of the next page: always the "same", or a "fresh" one each time.
        page: its content: the "same" objects as on the first page, "fresh" ones, or "empty".
        most: the page at which the proxy gives up and ends the listing; no client should get there.
    """

    def __init__(self, token: str, page: str, most: int = 100_000) -> None:
        self.token = token
        self.page = page
        self.most = most
        self.count = 0
        self.first = ""

    def request(self, flow: http.HTTPFlow) -> None:
        """Respond to all requests but the first with the response to the first."""
        if self.first and is_listing(flow):
            from mitmproxy import http as made  # noqa: PLC0415 - the module itself needs it only for types

            flow.response = made.Response.make(200, b"", {"Content-Type": "application/xml"})

    def response(self, flow: http.HTTPFlow) -> None:
        """Announce another page."""
        if not is_listing(flow):
            return
        self.first = self.first or flow.response.raw_content.decode()
        self.count += 1
        text, entry = self.first, r"<(Contents|Blob|BlobPrefix|CommonPrefixes)>.*</\1>"
        if self.page == "fresh":
            text = re.sub(r"(<Key>|<Name>|<Prefix>)([^<]+)(</Key>|</Name>)", rf"\g<1>\g<2>{self.count:07}\3", text)
        elif self.page == "empty":
            text = re.sub(entry, "", text, flags=re.DOTALL)
        token = "again" if self.token == "same" else f"page-{self.count}"
        if self.count < self.most:
            text = re.sub(r"<IsTruncated>false</IsTruncated>", _TOKEN.format(token), text)
            text = re.sub(r"<NextMarker ?/>|<NextMarker></NextMarker>", _MARKER.format(token), text)
        put_body(flow.response, text.encode())
