"""Key sources: where the key of a dataset comes from, if it is not in the document itself.

A document has the key as 64 hexadecimal digits, or a reference to it: an object that names its source. `file`,
`passphrase` and `wrapped` are here; plugins add key services, and import only this package, `connectors.storage` for
its HTTP engine, `connectors.errors` and `connectors.secrets`.

    `KeySource`: the contract. `KeyReference`: the base of a source's references. `Wrapped`: a wrapped key in one.
    `KeyMember`, `ReferenceMember`: members of documents that hold a key or a reference.
    `resolve`: the key that a reference leads to. `forget`: ask its source again.
    `key_id`: what tells two keys apart without showing them.
    `read_below`: the content of a file with a secret, such as a token, that a reference names.
    `sources`, `source_of`, `reference`, `wrapping`, `object_wrapping`: the installed sources, and their documents.
    `ObjectKeyService`, `ObjectKeys`: what wraps the keys of objects that each have their own; and their keys.
    `DatasetKey`: a `KeyMember` that holds what wraps them, in documents of the format that needs it.
"""

from connectors.keys.contract import KeyReference, KeySource, ObjectKeyService, Wrapped
from connectors.keys.files import read_below
from connectors.keys.identity import key_id
from connectors.keys.member import DatasetKey, KeyMember, ReferenceMember
from connectors.keys.objects import ObjectKeys
from connectors.keys.registry import InstalledSource, object_wrapping, reference, source_of, sources, wrapping
from connectors.keys.resolving import forget, resolve

__all__ = [
    "DatasetKey",
    "InstalledSource",
    "KeyMember",
    "KeyReference",
    "KeySource",
    "ObjectKeyService",
    "ObjectKeys",
    "ReferenceMember",
    "Wrapped",
    "forget",
    "key_id",
    "object_wrapping",
    "read_below",
    "reference",
    "resolve",
    "source_of",
    "sources",
    "wrapping",
]
