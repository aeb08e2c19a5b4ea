"""File objects over a format: a verified seekable reader, a writer that commits when it is closed."""

from __future__ import annotations

from connectors.streams.files import buffered, decrypt, encrypt, open_reader, open_writer, pump
from connectors.streams.reader import SealedReader
from connectors.streams.sinks import FileSink, PathSink, Sink, as_sink
from connectors.streams.sources import FileSource, Source, as_source
from connectors.streams.writer import SealedText, SealedWriter

__all__ = [
    "FileSink",
    "FileSource",
    "PathSink",
    "SealedReader",
    "SealedText",
    "SealedWriter",
    "Sink",
    "Source",
    "as_sink",
    "as_source",
    "buffered",
    "decrypt",
    "encrypt",
    "open_reader",
    "open_writer",
    "pump",
]
