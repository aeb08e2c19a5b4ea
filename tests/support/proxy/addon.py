"""What the proxy loads: it passes everything on, keeps a log, and lets one rule at a time meddle.

This runs in mitmproxy's own environment, not in that of the tests; they talk to it over `CONTROL`, a path of its own.
A rule is a class of one of the modules beside this one, made by its name and arguments; its methods are mitmproxy's
hooks, `request`, `responseheaders` and `response`, those of them that it has. They may be coroutines, as mitmproxy's.
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
    if path.stem not in {"addon", "meddling"}
    for name, kind in vars(importlib.import_module(path.stem)).items()
    if isinstance(kind, type) and kind.__module__ == path.stem
}


class Addon:
    """Passes on, keeps a log, meddles."""

    def __init__(self) -> None:
        self.rule: Any = None
        self.log: list[dict[str, Any]] = []

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Let the rule see the request before its body comes."""
        if flow.request.path != CONTROL:
            self.log.append(
                {"method": flow.request.method, "target": flow.request.path, "headers": dict(flow.request.headers)}
            )
            flow.metadata["entry"] = self.log[-1]
            await self._ask("requestheaders", flow)

    async def request(self, flow: http.HTTPFlow) -> None:
        """Obey the tests, or let the rule see the request."""
        if flow.request.path == CONTROL:
            flow.response = http.Response.make(200, self._obey(json.loads(flow.request.content or b"{}")))
        else:
            await self._ask("request", flow)

    async def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Let the rule see the answer before its body comes."""
        if "entry" in flow.metadata and flow.response is not None:
            flow.metadata["entry"]["status"] = flow.response.status_code
            flow.metadata["entry"]["length"] = flow.response.headers.get("content-length")
            await self._ask("responseheaders", flow)

    async def response(self, flow: http.HTTPFlow) -> None:
        """Let the rule see the answer."""
        if "entry" in flow.metadata:
            await self._ask("response", flow)

    async def _ask(self, hook: str, flow: http.HTTPFlow) -> None:
        if hasattr(self.rule, hook):
            asked = getattr(self.rule, hook)(flow)
            if inspect.isawaitable(asked):
                await asked

    def _obey(self, order: dict[str, Any]) -> bytes:
        if "rule" in order:
            self.rule = RULES[order["rule"]](**order["arguments"]) if order["rule"] else None
            self.log.clear()
        return json.dumps(self.log).encode()


addons = [Addon()]
