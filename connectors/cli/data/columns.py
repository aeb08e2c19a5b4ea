"""``connectors columns``: the columns of Parquet files, and the keys that they have of their own."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from connectors.app.columns import Column, columns_in
from connectors.app.config import load
from connectors.app.protocol import DatasetFileSystem
from connectors.cli.common import console
from connectors.cli.common.encryption import (
    Context,
    FormatOfDocument,
    OptionalKeyFile,
    SegmentSize,
    encryption_options,
)
from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.common.files import readable
from connectors.cli.common.key_files import ask_for_passphrases, read_key
from connectors.cli.common.options import AppConfigFolder, AsJson, example
from connectors.errors import ConfigError, NotSupported
from connectors.streams import open_reader

__all__ = ["register"]

_PREFIX = "dataset://"
_HELD = {True: "yes", False: "no", None: "-"}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    examples = example(
        "columns dataset://input/conditions",
        "columns -K clinic.hex conditions.parquet.sealed",
        "columns --encrypt pii=name,birth_date conditions.parquet dataset://output/conditions",
    )
    app.command("columns", epilog=examples)(columns)


def columns(
    places: Annotated[
        list[str],
        typer.Argument(metavar="[IN] PLACE", help="dataset://PORT/NAME, or a sealed file; IN is the file to encrypt."),
    ],
    *,
    encrypt: Annotated[
        list[str] | None,
        typer.Option(
            "--encrypt",
            metavar="KEY=COLUMN,…",
            help="Write the plain Parquet file IN to the dataset, with these columns under this key; repeatable.",
        ),
    ] = None,
    key_file: OptionalKeyFile = None,
    format_: FormatOfDocument = "auto",
    context: Context = None,
    segment_size: SegmentSize = None,
    app_config: AppConfigFolder = None,
    as_json: AsJson = False,
) -> None:
    """List the columns of a sealed Parquet file and their keys, or write one.

    KEY is a name in encryption.columns of the dataset's document. HELD says whether the document has the key; no key of
    a column is asked for. With --encrypt, the columns are encrypted under their keys, inside of the sealed object.
    """
    ask_for_passphrases()
    source, place = places[0] if encrypt else None, places[-1]
    if len(places) != (2 if encrypt else 1):
        message = "with --encrypt, name two: IN and dataset://PORT/NAME" if encrypt else "name one dataset or file"
        raise UsageMistake(message)
    if place.startswith(_PREFIX):
        if key_file is not None or context is not None or segment_size is not None or format_ != "auto":
            message = "a dataset's document says how it is encrypted; -K and its options are for files"
            raise UsageMistake(message)
        path = place.removeprefix(_PREFIX).strip("/")
        if source is not None:
            _write(source, path, _columns_in(encrypt or []), app_config)
            return
        found = _of_dataset(path, app_config)
    elif source is not None:
        message = "the file is written to a dataset, whose document has the keys: dataset://PORT/NAME"
        raise UsageMistake(message)
    elif key_file is None:
        message = "a file needs its key: --key-file FILE"
        raise UsageMistake(message)
    else:
        name, bound_to, size = encryption_options(format_, context, segment_size)
        key = read_key(key_file)
        with (
            readable(place) as sealed,
            open_reader(sealed, key, format=name, context=bound_to, segment_size=size) as file,
        ):
            found = columns_in(file)
    if as_json:
        console.print_json([{"column": one.name, "key": one.key, "held": one.readable} for one in found])
    else:
        rows = [(one.name, one.key or "-", "-" if one.key is None else _HELD[one.readable]) for one in found]
        console.table(("COLUMN", "KEY", "HELD"), rows)


def _of_dataset(path: str, app_config: str | None) -> list[Column]:
    port, name, inside = _names(path)
    return load(app_config)[port][name].parquet_columns(inside or None)


def _names(path: str) -> tuple[str, str, str]:
    port, _, rest = path.partition("/")
    name, _, inside = rest.partition("/")
    if not name:
        message = "a dataset's URL is dataset://PORT/NAME; `connectors ls` lists the datasets"
        raise UsageMistake(message)
    return port, name, inside


def _columns_in(words: list[str]) -> dict[str, list[str]]:
    """Return the columns by the names of their keys, from ``KEY=COLUMN,COLUMN``."""
    found: dict[str, list[str]] = {}
    for word in words:
        key, equals, names = word.partition("=")
        if not equals or not key or not names:
            message = "--encrypt takes KEY=COLUMN,COLUMN, as in pii=name,birth_date"
            raise UsageMistake(message)
        found.setdefault(key, []).extend(names.split(","))
    return found


def _write(source: str, path: str, keys: dict[str, list[str]], app_config: str | None) -> None:
    port, name, _ = _names(path)
    properties = load(app_config)[port][name].parquet_encryption(keys)
    import pyarrow.parquet as library  # noqa: PLC0415 - large, and only for this

    plain = _opened(library, source)
    known = {*plain.schema_arrow.names, *_paths(plain)}
    missing = [one for names in keys.values() for one in names if one not in known]
    if missing:
        message = f"{source!r} has no column {missing[0]!r}; it has {', '.join(_paths(plain))}"
        raise ConfigError(message)
    with (
        DatasetFileSystem(app_config).open(path, "wb") as file,
        library.ParquetWriter(file, plain.schema_arrow, encryption_properties=properties) as writer,
        console.progress("encrypting") as callback,
    ):
        callback.set_size(plain.num_row_groups)
        for number in range(plain.num_row_groups):
            writer.write_table(plain.read_row_group(number))
            callback.relative_update()


def _paths(plain: Any) -> list[str]:
    return [plain.schema.column(place).path for place in range(len(plain.schema))]


def _opened(library: Any, source: str) -> Any:
    problem = "is not a Parquet file"
    try:
        return library.ParquetFile(source)
    except FileNotFoundError:
        problem = "is missing"
    except (OSError, ValueError):
        pass
    message = f"the file {source!r} {problem}"
    raise NotSupported(message) if problem.startswith("is not") else ConfigError(message)
