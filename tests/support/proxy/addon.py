"""The proxy's addon: it forwards everything, keeps a log, and applies one rule at a time.

It runs in mitmproxy's environment, not in that of the tests, which control it with requests to the path `CONTROL`. A
rule is a class in one of the modules next to this one, created by its name and arguments; its methods are any of
mitmproxy's hooks `requestheaders`, `request`, `responseheaders` and `response`, and may be coroutines.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from pathlib import Path
from typing import Any

from mitmproxy import http

sys.path.insert(0, str(Path(__file__).parent))

CONTROL = "/--control"
RULES = {
    f"{path.stem}.{name}": kind
    for path in sorted(Path(__file__).parent.glob("*.py"))
    if path.stem not in {"addon", "responding"}
    for name, kind in vars(importlib.import_module(path.stem)).items()
    if isinstance(kind, type) and kind.__module__ == path.stem
}


class Addon:
    """Forwards, logs, and applies a rule."""

    def __init__(self) -> None:
        self.rule: Any = None
        self.log: list[dict[str, Any]] = []

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Apply the rule to the request before its body arrives."""
        if flow.request.path != CONTROL:
            self.log.append(
                {"method": flow.request.method, "target": flow.request.path, "headers": dict(flow.request.headers)}
            )
            flow.metadata["entry"] = self.log[-1]
            await self._apply("requestheaders", flow)

    async def request(self, flow: http.HTTPFlow) -> None:
        """Follow an order of the tests, or apply the rule to the request."""
        if flow.request.path == CONTROL:
            flow.response = http.Response.make(200, self._obey(json.loads(flow.request.content or b"{}")))
        else:
            await self._apply("request", flow)

    async def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Apply the rule to the response before its body arrives."""
        if "entry" in flow.metadata and flow.response is not None:
            flow.metadata["entry"]["status"] = flow.response.status_code
            flow.metadata["entry"]["length"] = flow.response.headers.get("content-length")
            await self._apply("responseheaders", flow)

    async def response(self, flow: http.HTTPFlow) -> None:
        """Apply the rule to the response."""
        if "entry" in flow.metadata:
            await self._apply("response", flow)

    async def _apply(self, hook: str, flow: http.HTTPFlow) -> None:
        if hasattr(self.rule, hook):
            result = getattr(self.rule, hook)(flow)
            if inspect.isawaitable(result):
                await result

    def _obey(self, order: dict[str, Any]) -> bytes:
        if "rule" in order:
            self.rule = RULES[order["rule"]](**order["arguments"]) if order["rule"] else None
            self.log.clear()
        return json.dumps(self.log).encode()


addons = [Addon()]
