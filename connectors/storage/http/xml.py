"""Parses the XML of stores' responses, without the features of XML that can be abused."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["parse_xml", "text_at", "texts_at"]


MAX_ELEMENTS = 300_000
"""Elements in a document: a page of Azure's listing has 5,000 blobs with some thirty each."""
MAX_DEPTH = 100


def parse_xml(body: bytes, root: str | None = None) -> Element:
    """Return the root element of a document; names are without their namespaces.

    A document type is refused, because its entities could make a small response huge.

    Args:
        body: the document.
        root: the name that its root element has, if that is known; without this check, any document is an empty list.

    Raises:
        ValueError: it is not such a document.

    >>> parse_xml(b"<a xmlns='urn:x'><b>1</b></a>").find("b").text
    '1'
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate(None, "}")
    parser.buffer_text = True
    count = depth = 0

    def start(name: str, given: dict[str, str]) -> None:
        nonlocal count, depth
        count, depth = count + 1, depth + 1
        if count > MAX_ELEMENTS or depth > MAX_DEPTH:
            message = "it has too many elements,"
            raise ValueError(message)
        builder.start(name.rpartition("}")[2], given)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name.rpartition("}")[2])

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(body, True)  # noqa: FBT003 - expat's signature: this is the end
        found = builder.close()
    except (expat.ExpatError, AssertionError, RecursionError):
        message = "it is not valid XML,"
    else:
        if root in (None, found.tag):
            return found
        message = "it is another document,"
    raise ValueError(message)


def _refuse(*_: object) -> NoReturn:
    message = "it has a document type,"
    raise ValueError(message)


def text_at(parent: Element, path: str) -> str:
    """Return the text of the element at a path, or an empty string if there is none."""
    return parent.findtext(path) or ""


def texts_at(parent: Element, path: str) -> Iterator[str]:
    """Yield the text of each element at a path."""
    return (one.text or "" for one in parent.findall(path))
