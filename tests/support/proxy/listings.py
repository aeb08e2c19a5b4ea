"""Rules by which the storage lies about what there is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meddling import put_body

if TYPE_CHECKING:
    from mitmproxy import http

_TOKEN = "<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>"
_MARKER = "<NextMarker>{}</NextMarker>"


def is_listing(flow: http.HTTPFlow) -> bool:
    """Tell whether a request is for a listing of objects, of S3's or of Azure's."""
    return flow.request.method == "GET" and bool(re.search(r"[?&](list-type=2|comp=list)\b", flow.request.path))


class Edit:
    """What listings say is edited.

    Args:
        edits: regular expressions, each with what takes the place of what it finds.
    """

    def __init__(self, edits: list[tuple[str, str]]) -> None:
        self.edits = edits

    def response(self, flow: http.HTTPFlow) -> None:
        """Edit it."""
        if is_listing(flow) and flow.response.status_code == 200:
            text = flow.response.raw_content.decode()
            for found, instead in self.edits:
                text = re.sub(found, instead, text, flags=re.DOTALL)
            put_body(flow.response, text.encode())


class Endless:
    """A listing has always one more page.

    Args:
        token: what leads to the next page: "same" for ever, or "fresh" each time.
        page: what is on it: the "same" objects as on the first, "fresh" ones, or "nothing".
        most: after so many pages the proxy gives up, and says that it is the last; nobody should come so far.
    """

    def __init__(self, token: str, page: str, most: int = 100_000) -> None:
        self.token = token
        self.page = page
        self.most = most
        self.count = 0
        self.first = ""

    def request(self, flow: http.HTTPFlow) -> None:
        """Answer all but the first request by what was answered to that."""
        if self.first and is_listing(flow):
            from mitmproxy import http as made  # noqa: PLC0415 - which the module itself needs for its types alone

            flow.response = made.Response.make(200, b"", {"Content-Type": "application/xml"})

    def response(self, flow: http.HTTPFlow) -> None:
        """Say that there is more."""
        if not is_listing(flow):
            return
        self.first = self.first or flow.response.raw_content.decode()
        self.count += 1
        text, entry = self.first, r"<(Contents|Blob|BlobPrefix|CommonPrefixes)>.*</\1>"
        if self.page == "fresh":
            text = re.sub(r"(<Key>|<Name>|<Prefix>)([^<]+)(</Key>|</Name>)", rf"\g<1>\g<2>{self.count:07}\3", text)
        elif self.page == "nothing":
            text = re.sub(entry, "", text, flags=re.DOTALL)
        token = "again" if self.token == "same" else f"page-{self.count}"
        if self.count < self.most:
            text = re.sub(r"<IsTruncated>false</IsTruncated>", _TOKEN.format(token), text)
            text = re.sub(r"<NextMarker ?/>|<NextMarker></NextMarker>", _MARKER.format(token), text)
        put_body(flow.response, text.encode())
