"""Which machine a request goes to, and by which way: TLS, private certificate authorities, proxies.

One set of rules for every backend:

- Certificates are verified with the machine's authorities, or with those that SSL_CERT_FILE and SSL_CERT_DIR name.
  No other variable counts, and SSLKEYLOGFILE is never obeyed: where a library must log in that obeys it, the login is
  refused.
- https:// requests go through the proxy that HTTPS_PROXY (or ALL_PROXY) names, unless NO_PROXY names the host. The
  proxy opens a tunnel (CONNECT) and sees the host and nothing else.
- http:// requests never go through a proxy, because it would see the credentials. Requests to this machine never do.
"""

from __future__ import annotations

import base64
import os
import re
import ssl
import traceback
import urllib.request
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

from connectors.errors import ConfigError
from connectors.secrets import SecretText
from connectors.storage.endpoints import is_loopback
from connectors.storage.http.connection import Connection, TlsConnection

__all__ = ["Limits", "Origin", "Proxy", "issuer_of", "open_connection", "proxy_for", "refuse_key_log", "tls_context"]


@dataclass(frozen=True, slots=True)
class Origin:
    """A server: scheme, host and port.

    Attributes:
        scheme: http or https.
        host: its name or address; an IPv6 address without brackets.
        port: its port.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """Return the server in a valid URL.

        >>> Origin.of("https://s3.example.org/clinic").authority
        's3.example.org'
        >>> Origin.of("http://[::1]:9000").authority
        '[::1]:9000'
        """
        parts = urlsplit(url)
        scheme: Literal["http", "https"] = "http" if parts.scheme == "http" else "https"
        return cls(scheme, parts.hostname or "", parts.port or (80 if scheme == "http" else 443))

    @property
    def authority(self) -> str:
        """The Host header: the port is left out if it is the scheme's default."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Timeouts.

    Attributes:
        connect_timeout: seconds for each step of connecting.
        stall_timeout: seconds to wait for the next bytes of a response, or for a block of a request to be accepted.
    """

    connect_timeout: float = 10.0
    stall_timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy.

    Attributes:
        host: its name or address.
        port: its port.
        variable: the environment variable that names it.
        authorization: the value of its Proxy-Authorization header, or None.
    """

    host: str
    port: int
    variable: str
    authorization: SecretText | None = field(default=None, repr=False)


def proxy_for(origin: Origin) -> Proxy | None:
    """Return the proxy for requests to a server, according to the environment; None if they go there directly.

    Raises:
        ConfigError: the variable's value is not the URL of an HTTP proxy.
    """
    if origin.scheme == "http" or is_loopback(origin.host):
        return None
    proxies = urllib.request.getproxies_environment()
    name = next((name for name in ("https", "all") if proxies.get(name)), None)
    if name is None or urllib.request.proxy_bypass(origin.authority):
        return None
    variable, text = f"{name.upper()}_PROXY", proxies[name]
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host, port = None, 0
    if parts.scheme != "http" or not host:
        message = f"{variable} does not hold the URL of an HTTP proxy, such as http://proxy.example.org:3128"
        raise ConfigError(message)
    authorization = None
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = SecretText(f"Basic {base64.b64encode(user.encode()).decode()}")
    return Proxy(host, port, variable, authorization)


def tls_context() -> ssl.SSLContext:
    """Return a TLS context that verifies the certificate and host name with the machine's certificate authorities.

    Not `ssl.create_default_context`, which writes session keys to the file that SSLKEYLOGFILE names.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


def refuse_key_log(library: str) -> None:
    """Refuse to let a library log in that would write its TLS session keys to the file that SSLKEYLOGFILE names.

    Args:
        library: its name.

    Raises:
        ConfigError: the variable is set.
    """
    if os.environ.get("SSLKEYLOGFILE"):
        message = (
            f"SSLKEYLOGFILE is set: {library}, which logs in with these credentials, would write TLS session keys to "
            "that file, and with them the tokens; unset the variable"
        )
        raise ConfigError(message)


def open_connection(
    origin: Origin, proxy: Proxy | None, context: ssl.SSLContext | None, *, connect_timeout: float, stall_timeout: float
) -> Connection:
    """Connect to a server, through a tunnel if there is a proxy.

    Args:
        origin: the server.
        proxy: the proxy, or None.
        context: the TLS context, for https.
        connect_timeout: seconds for each step of connecting.
        stall_timeout: seconds to wait for a byte afterwards.

    Raises:
        OSError, http.client.HTTPException: the server or the proxy cannot be reached, or TLS failed.
    """
    via = (proxy.host, proxy.port) if proxy else (origin.host, origin.port)
    if origin.scheme == "http":
        connection: Connection = Connection(*via, timeout=connect_timeout)
    else:
        connection = TlsConnection(*via, timeout=connect_timeout, context=context)
    connection.stall_timeout = stall_timeout
    try:
        if proxy:
            connection.set_tunnel(origin.host, origin.port, _tunnel_headers(proxy))
        connection.connect()
    except BaseException as error:
        connection.close()
        traceback.clear_frames(error.__traceback__)  # those below hold the proxy's password
        raise
    return connection


def _tunnel_headers(proxy: Proxy) -> dict[str, str]:
    return {"Proxy-Authorization": proxy.authorization.reveal()} if proxy.authorization else {}


_NAME = re.compile(r"[\w .,&'()-]{1,100}")


def issuer_of(origin: Origin, proxy: Proxy | None, *, timeout: float) -> str | None:
    """Return the name of the authority that signed a server's certificate, for an error; None if it cannot be read.

    The certificate is not verified, so the name is only what the server says. Nothing is sent.
    """
    from cryptography import x509  # noqa: PLC0415 - only for this error

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        connection = open_connection(origin, proxy, context, connect_timeout=timeout, stall_timeout=timeout)
        try:
            sock = connection.sock
            encoded = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
        finally:
            connection.close()
        issuer = x509.load_der_x509_certificate(encoded or b"").issuer
        common = issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        text = str(common[0].value) if common else issuer.rfc4514_string()
    except (OSError, ValueError):
        return None
    return text if _NAME.fullmatch(text) else None
