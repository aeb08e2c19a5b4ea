"""File objects over a format: a verified, seekable reader, and a writer that commits atomically on close."""

from __future__ import annotations

from connectors.streams.api import buffered, copy_stream, decrypt, encrypt, fingerprint, open_reader, open_writer
from connectors.streams.object import SealedObject
from connectors.streams.ranges import MAX_GAP, read_ranges
from connectors.streams.reader import SealedReader
from connectors.streams.sinks import FileSink, PathSink, RenewableSink, Sink, as_sink
from connectors.streams.sources import ByteStream, FileSource, FillsBuffers, Source, StreamsRanges, as_source
from connectors.streams.writer import SealedText, SealedWriter

__all__ = [
    "MAX_GAP",
    "ByteStream",
    "FileSink",
    "FileSource",
    "FillsBuffers",
    "PathSink",
    "RenewableSink",
    "SealedObject",
    "SealedReader",
    "SealedText",
    "SealedWriter",
    "Sink",
    "Source",
    "StreamsRanges",
    "as_sink",
    "as_source",
    "buffered",
    "copy_stream",
    "decrypt",
    "encrypt",
    "fingerprint",
    "open_reader",
    "open_writer",
    "read_ranges",
]
