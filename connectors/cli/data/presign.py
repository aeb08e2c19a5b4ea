"""``connectors presign``: sign a URL, and make the credentials document that contains its query."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.cli.common import console
from connectors.cli.common.encryption import Context, FormatOfDocument, OptionalKeyFile, context_bytes, format_name
from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.common.files import same_file
from connectors.cli.common.key_files import read_key_member
from connectors.cli.common.options import AsJson, Force, example
from connectors.cli.common.private_files import read_private, write_private
from connectors.cli.data.inspection import moment, parse_incomplete
from connectors.errors import NotSupported
from connectors.keys import KeyReference
from connectors.storage.registry import resolve

if TYPE_CHECKING:
    from connectors.secrets import SecretKey

__all__ = ["register"]

_METHODS = {"get": "GET", "put": "PUT", "download": "GET", "upload": "PUT"}

_Account = Annotated[
    str | None,
    typer.Option("--credentials", metavar="FILE", help="The storage account's credentials document; - for stdin."),
]
_Ambient = Annotated[
    bool, typer.Option("--ambient", help="Sign with this machine's own credentials: environment, profile, role.")
]
_Profile = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="The profile to use with --ambient.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    examples = example(
        "presign s3://clinic/conditions.csv.sealed --ambient \\\n    -K clinic.hex --out credentials.json",
        "presign s3://clinic/result.sealed --method upload --credentials owner.json",
    )
    app.command("presign", epilog=examples)(presign)


def presign(
    location: Annotated[str, typer.Argument(metavar="LOCATION", help="The object: s3://…, az://… or gs://….")],
    *,
    method: Annotated[str, typer.Option("--method", metavar="WORD", help="GET, PUT, download or upload.")] = "GET",
    expires: Annotated[
        int,
        typer.Option("--expires", metavar="SECONDS", min=1, help="How long the URL is valid; the default is one day."),
    ] = 86400,
    credentials: _Account = None,
    ambient: _Ambient = False,
    profile: _Profile = None,
    endpoint_url: Annotated[
        str | None, typer.Option("--endpoint-url", metavar="URL", help="An endpoint other than the vendor's.")
    ] = None,
    region: Annotated[str | None, typer.Option("--region", metavar="NAME", help="The bucket's region.")] = None,
    key_file: OptionalKeyFile = None,
    context: Context = None,
    format_: FormatOfDocument = "cobblestone-256",
    out: Annotated[
        str | None, typer.Option("-out", "--out", metavar="FILE", help="The file to write the credentials document to.")
    ] = None,
    force: Force = False,
    url_only: Annotated[bool, typer.Option("--url", help="Print only the whole URL.")] = False,
    as_json: AsJson = False,
) -> None:
    """Sign a URL to download or upload an object.

    With -K, the output is a complete credentials document for the dataset, which names its format; --out writes it to a
    file. Until the URL
    expires, anyone who has its query can use it: treat it as a password.
    """
    verb = _METHODS.get(method.lower(), "")
    _check(
        (not verb, "--method must be GET (or download) or PUT (or upload)"),
        (
            credentials is None and not ambient,
            "name the credentials to sign with: --credentials FILE, or --ambient for this machine's own",
        ),
        (credentials is not None and ambient, "--credentials and --ambient exclude each other"),
        (profile is not None and not ambient, "--profile needs --ambient"),
        (out is not None and key_file is None, "--out writes a credentials document, which needs the key: -K FILE"),
        (
            context is not None and key_file is None,
            "--context is part of a credentials document, which needs the key: -K FILE",
        ),
        (url_only and (as_json or key_file is not None), "--url cannot be combined with --json or -K"),
        (
            out is not None and any(same_file(out, one) for one in (key_file, credentials) if one is not None),
            "--out is the key file or the credentials file, which would be overwritten; name another file",
        ),
        (force and out is None, "--force needs --out FILE, the file to replace"),
        (credentials == key_file == "-", "the credentials and the key cannot both come from standard input"),
    )
    key = None if key_file is None else read_key_member(key_file)
    context_bytes(context)
    known = format_name(format_)
    given = {"ambient": ambient, "profile": profile, "endpoint_url": endpoint_url, "region": region}
    signed = _sign(location, credentials, {name: value for name, value in given.items() if value}, verb, expires)
    if url_only:
        console.print_line(signed.url)
        return
    document = None if key is None else signed.document(key, context, known)
    if document is not None and out is not None:
        write_private(out, f"{json.dumps(document, indent=2, ensure_ascii=False)}\n".encode(), force=force)
    _show(signed, document, out, as_json=as_json)


def _check(*rules: tuple[bool, str]) -> None:
    for broken, message in rules:
        if broken:
            raise UsageMistake(message)


@dataclass(frozen=True, repr=False)
class _Signed:
    """A signed URL.

    Attributes:
        url: the whole URL, which is secret.
        verb: the HTTP method it was signed for.
        expires_at: when it expires.
    """

    url: str
    verb: str
    expires_at: datetime

    @property
    def location(self) -> str:
        """The URL without its query."""
        return self.url.partition("?")[0]

    @property
    def query_string(self) -> str:
        """The query, in base64."""
        return base64.b64encode(self.url.partition("?")[2].encode("ascii")).decode("ascii")

    def document(self, key: SecretKey | KeyReference, context: str | None, format_: str) -> dict[str, Any]:
        """Return the dataset's credentials document; with `auto`, the short form, which every platform accepts."""
        given = key.document() if isinstance(key, KeyReference) else key.reveal().hex().upper()
        encryption: dict[str, Any] = {"key": given}
        if format_ != "auto":
            encryption["format"] = format_
        if context:
            encryption["context"] = context
        return {"query_string": self.query_string, "encryption": encryption}


def _sign(location: str, file: str | None, given: dict[str, Any], verb: str, expires: int) -> _Signed:
    data = b"{}" if file is None else read_private(file, "credentials document")

    backend, credentials = resolve(location, {**parse_incomplete(data), **given})
    # Taken before signing and rounded down: the stated expiry must not be too late.
    now = datetime.now(UTC).replace(microsecond=0)
    url = backend.presign(location, credentials, verb, expires)
    if not url.partition("?")[2]:
        message = f"the backend {backend.name} returned a URL without a signature"
        raise NotSupported(message)
    return _Signed(url, verb, now + timedelta(seconds=expires))


def _show(signed: _Signed, document: dict[str, Any] | None, out: str | None, *, as_json: bool) -> None:
    """Print the result. Only the document goes to standard output, so that ``> credentials.json`` works."""
    if as_json:
        expires_at = signed.expires_at.isoformat()
        shown: dict[str, Any] = {"location": signed.location, "method": signed.verb, "expires_at": expires_at}
        if out is not None:
            shown["written_to"] = out
        elif document is not None:
            shown["credentials"] = document
        else:
            shown["query_string"] = signed.query_string
        console.print_json(shown)
        return

    facts = [("location", signed.location), ("method", signed.verb), ("expires", moment(signed.expires_at))]
    if "x-amz-security-token=" in signed.url.lower():
        facts.append(("note", "signed with temporary credentials: the URL expires with them, if that is sooner"))
    if document is None:
        facts.append(("query", signed.query_string))
    if out is not None:
        facts.append(("written", out))
    lines = "".join(f"{name:<9} {value}\n" for name, value in facts)
    if document is None or out is not None:
        console.print_line(lines, end="")
    else:
        console.write_error(lines)
        console.print_json(document)
