"""``connectors rekey``: give a dataset or a sealed file another key."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.app.config import load
from connectors.app.rekeying import rekey as rekey_dataset
from connectors.cli.common import console
from connectors.cli.common.encryption import Context, OptionalKeyFile, context_bytes
from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.common.key_files import read_key
from connectors.cli.common.options import AppConfigFolder, AsJson, example
from connectors.cli.common.private_files import read_private
from connectors.secrets import Hidden, redact_url

if TYPE_CHECKING:
    from connectors.app.rekeying import Rekeyed
    from connectors.credentials.model import Credentials

__all__ = ["register"]

_PREFIX = "dataset://"

_Document = Annotated[
    str | None, typer.Option("--to", metavar="FILE", help="The new credentials document; - for stdin.")
]
_OldDocument = Annotated[
    str | None,
    typer.Option("--from", metavar="FILE", help="The current one; that of a dataset:// is in its app config."),
]
_Location = Annotated[str | None, typer.Option("--location", metavar="URL", help="The URL, in place of DATASET.")]
_NewKeyFile = Annotated[
    str | None, typer.Option("--new-key-file", metavar="FILE", help="The new key of a sealed file, or - for stdin.")
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    examples = example(
        "rekey dataset://input/wards --to new.json",
        "rekey --location s3://clinic/wards/ --from old.json --to new.json --dry-run",
        "rekey conditions.csv.sealed -K old.hex --new-key-file new.hex",
    )
    app.command("rekey", epilog=examples)(rekey)


@dataclass(frozen=True, repr=False)
class _Task:
    """What is to be rekeyed.

    Attributes:
        location: its URL.
        old: its document.
        new: the new document.
        name: its name in errors.
        root: the folder that key files in the documents are below.
    """

    location: str
    old: Hidden | Credentials
    new: Hidden
    name: str | None = None
    root: str | None = None


def rekey(
    subject: Annotated[
        str | None, typer.Argument(metavar="[DATASET]", help="dataset://PORT/NAME, or a sealed file with its -K.")
    ] = None,
    *,
    to: _Document = None,
    from_: _OldDocument = None,
    location: _Location = None,
    key_file: OptionalKeyFile = None,
    new_key_file: _NewKeyFile = None,
    context: Context = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be rewritten.")] = False,
    without_readers: Annotated[
        bool, typer.Option("--without-readers", help="Nothing reads the folder until the run has ended.")
    ] = False,
    continues: Annotated[
        bool, typer.Option("--continue", help="A run was stopped: what is pinned may be under the new key already.")
    ] = False,
    app_config: AppConfigFolder = None,
    as_json: AsJson = False,
) -> None:
    """Encrypt a dataset or a sealed file under another key.

    Each object is replaced when its new encryption has been decrypted and compared. If a run is stopped, run it again.
    Before rekeying a folder, give its readers the new document with the old key in former_keys; after it, they need
    the new key alone. Nothing may write to the dataset during the run.
    """
    _check(
        (
            (subject is None) == (location is None),
            "name one dataset: dataset://PORT/NAME, a sealed FILE, or --location",
        ),
        (from_ == to == "-", "the two documents cannot both come from standard input"),
        (key_file == new_key_file == "-", "the two keys cannot both come from standard input"),
    )
    if subject is None or subject.startswith(_PREFIX):
        _check(
            (to is None, "name the new credentials document: --to FILE"),
            (location is not None and from_ is None, "--location needs the current credentials document: --from FILE"),
            (
                any(one is not None for one in (key_file, new_key_file, context)),
                "-K, --new-key-file and --context are for a sealed FILE; a dataset's are in its documents",
            ),
        )
        task = _of_documents(subject, location, from_, str(to), app_config)
    else:
        _check(
            ("://" in subject, f"{redact_url(subject)!r} is a URL: give it as --location, with --from and --to"),
            (to is not None or from_ is not None, "--from and --to are for datasets; a FILE has -K and --new-key-file"),
            (key_file is None or new_key_file is None, "a sealed FILE needs both keys: -K FILE --new-key-file FILE"),
            (subject == "-", "the file is replaced, so it cannot be standard input; use `decrypt` and `encrypt`"),
        )
        task = _of_file(subject, str(key_file), str(new_key_file), context)
    with console.progress("counting" if dry_run else "rekeying") as callback:
        done = rekey_dataset(
            task.location,
            task.old.reveal() if isinstance(task.old, Hidden) else task.old,
            task.new.reveal(),
            callback=callback,
            dry_run=dry_run,
            without_readers=without_readers,
            continues=continues,
            name=task.name,
            root=task.root,
        )
    _show(done, dry_run=dry_run, as_json=as_json)


def _check(*rules: tuple[bool, str]) -> None:
    for broken, message in rules:
        if broken:
            raise UsageMistake(message)


def _of_documents(url: str | None, location: str | None, old: str | None, new: str, app_config: str | None) -> _Task:
    given = None if old is None else Hidden(read_private(old, "credentials document"))
    following = Hidden(read_private(new, "credentials document"))
    if url is None:
        return _Task(str(location), given or Hidden(b""), following)
    port, _, name = url.removeprefix(_PREFIX).strip("/").partition("/")
    if not name or "/" in name:
        message = f"{redact_url(url)!r} is not a dataset's URL, dataset://PORT/NAME; `connectors ls` lists the datasets"
        raise UsageMistake(message)
    app = load(app_config)
    dataset = app[port][name]
    return _Task(dataset.location, given or dataset.credentials, following, f"{port}/{name}", app.root)


def _of_file(path: str, old_key: str, new_key: str, context: str | None) -> _Task:
    context_bytes(context)
    keys = [read_key(one) for one in (old_key, new_key)]
    # A link stays: the file that it points to is replaced, as by the other verbs.
    location = Path(os.path.realpath(path)).as_uri()
    old, new = (Hidden({"encryption": {"key": key, "context": context}}) for key in keys)
    return _Task(location, old, new)


def _show(done: Rekeyed, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        shown: dict[str, Any] = {"rewritten": done.rewritten, "already": done.already, "bytes": done.size}
        console.print_json({**shown, "pin": done.pin, "dry_run": dry_run})
        return
    console.print_line(f"{'to rewrite' if dry_run else 'rewritten':<12} {_objects(done.rewritten)}, {done.size} bytes")
    console.print_line(f"{'already new':<12} {_objects(done.already)}")
    if done.pin is not None:
        console.print_line(f"{'pin':<12} {done.pin}")
    if not dry_run:
        readers = "need the new document, without former_keys; backups are still under the old key"
    elif done.readable_meanwhile:
        readers = 'need from now on: "encryption": {"key": NEW, "former_keys": [OLD], ...}'
    else:
        readers = "have no document for the time of the run: former_keys needs cobblestone-256 and one context"
    console.print_line(f"{'readers':<12} {readers}")


def _objects(count: int) -> str:
    return f"{count} object{'' if count == 1 else 's'}"
