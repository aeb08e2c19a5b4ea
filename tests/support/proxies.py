"""A proxy between a client and a real server that lies or breaks connections on a test's orders: mitmproxy.

It runs in a virtual environment of its own, which ``make test`` installs into .servers/mitmproxy, because it needs
another version of `cryptography` than this package. Its rules are in the modules of tests/support/proxy.
"""

from __future__ import annotations

import json
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patience import PATIENCE
from servers import ROOT, ServerUnavailable, answers, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Proxy", "proxy"]

MITMDUMP = ROOT / ".servers" / "mitmproxy" / "bin" / "mitmdump"
ADDON = Path(__file__).parent / "proxy" / "addon.py"
CONTROL = "/--control"


@dataclass(frozen=True)
class Proxy:
    """A running proxy.

    Attributes:
        endpoint: its URL, which replaces the server's, without a trailing slash.
    """

    endpoint: str

    @contextmanager
    def rule(self, name: str, **arguments: Any) -> Iterator[None]:
        """Apply a rule, such as ``faults.CutEvery``, during the block; the log is cleared."""
        self._order({"rule": name, "arguments": arguments})
        try:
            yield
        finally:
            self._order({"rule": None})

    def log(self) -> list[dict[str, Any]]:
        """Return the requests since a rule was last set or removed: method, target, headers, status, length."""
        log: list[dict[str, Any]] = self._order({})
        return log

    def _order(self, order: dict[str, Any]) -> Any:
        request = urllib.request.Request(self.endpoint + CONTROL, json.dumps(order).encode(), method="PUT")
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return json.load(response)


@contextmanager
def proxy(folder: Path, upstream: str) -> Iterator[Proxy]:
    """Run a proxy in front of a server.

    Args:
        folder: for its configuration and log.
        upstream: the server's scheme, host and port; the client sends the path.
    """
    if not MITMDUMP.exists():
        raise ServerUnavailable(f"{MITMDUMP} is not installed; make test installs it")
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    options = {
        "confdir": folder,
        "listen_host": "127.0.0.1",
        "listen_port": port,
        "keep_host_header": "true",  # it is signed
        "connection_strategy": "lazy",
        "validate_inbound_headers": "false",
        "termlog_verbosity": "warn",
        "flow_detail": 0,
    }
    command = [str(MITMDUMP), "--mode", f"reverse:{upstream}", "--scripts", str(ADDON)]
    for name, value in options.items():
        command += ["--set", f"{name}={value}"]
    with running(command, log=folder / "mitmproxy.log", ready=lambda: answers(f"{endpoint}{CONTROL}")):
        yield Proxy(endpoint)
