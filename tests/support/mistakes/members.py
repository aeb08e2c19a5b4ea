"""The members of credentials documents, but for the key: their names, places and values."""

from __future__ import annotations

from mistakes import ABSENT, FILE, KEY, OTHER_KEY, PLACE, Mistake, member

FOLDER = "file:///data/wards/"

MISTAKES: list[Mistake] = [
    # members in the wrong place, and under the wrong name
    member(
        FILE,
        PLACE,
        {"encryption": ABSENT},
        'credentials.encryption: required; if the dataset really is not encrypted, set "encryption": null',
    ),
    member(
        FILE,
        PLACE,
        {"encryption": KEY},
        'credentials.encryption: an object, as in {"key": "…"}, is expected, or null if the dataset is not encrypted',
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": "null"},
        'credentials.encryption: an object, as in {"key": "…"}, is expected, or null if the dataset is not encrypted',
    ),
    member(
        FILE,
        PLACE,
        {"encryption": False},
        'credentials.encryption: an object, as in {"key": "…"}, is expected, or null if the dataset is not encrypted',
    ),
    member(FILE, PLACE, {"encryption": {}}, "credentials.encryption.key: required"),
    member(FILE, PLACE, {"key": KEY}, "credentials.key: unknown member; it belongs in encryption", secret=True),
    member(
        FILE,
        PLACE,
        {"encryption": {"encryption": {"key": KEY}}},
        "credentials.encryption.key: required; credentials.encryption.encryption: unknown member; it belongs one level up",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"kye": KEY}},
        "credentials.encryption.kye: unknown member; did you mean key?",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"Key": KEY}},
        "credentials.encryption.Key: unknown member; did you mean key?",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encrypton": {"key": KEY}, "encryption": ABSENT},
        "credentials.encrypton: unknown member; did you mean encryption?",
        secret=True,
    ),
    member(FILE, PLACE, {"manifest": True}, "credentials.manifest: unknown member; it belongs in encryption"),
    member(FILE, PLACE, {"typ": "file"}, "credentials.typ: unknown member; did you mean type?"),
    member(
        FILE,
        PLACE,
        {"location": "file:///data/conditions"},
        "credentials.location: unknown member; known members: encryption, layout, type",
    ),
    member(
        FILE,
        PLACE,
        {"password": "hunter2hunter2"},
        "the credentials are for a location that begins with sftp://, and this one is file://…; correct one of them",
        secret=True,
    ),
    member(FILE, PLACE, {KEY: "clinic"}, "credentials.…: unknown member; known members: encryption, layout, type"),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "iv": "000102030405060708090a0b"}},
        "credentials.encryption.iv: unknown member; known members: allow_uncommitted, bind, columns, context, format, former_keys, key, manifest, pin, segment_size",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "contxt": "ward 3"}},
        "credentials.encryption.contxt: unknown member; did you mean context?",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "layout": "folder"}},
        "credentials.encryption.layout: unknown member; it belongs one level up",
    ),
    # keys that are elsewhere
    member(
        FILE,
        PLACE,
        {"encryption": {"key": {"source": "fiel", "path": "clinic.hex"}}},
        "credentials.encryption.key: there is no key source 'fiel'; did you mean file?",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": {"path": "clinic.hex"}}},
        'credentials.encryption.key: a key is 64 hexadecimal digits, or an object that names its source, as in {"source": "file", …}',
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": {"source": "file", "file": "clinic.hex"}}},
        "credentials.encryption.key: file: path: required; file: unknown member; known members: path, source",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": {"source": "passphrase", "wrapped": "AAAA"}}},
        "credentials.encryption.key: passphrase: salt: required",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": {"source": "wrapped", "wrapped": "not base64", "by": KEY}}},
        "credentials.encryption.key: wrapped: by: a key is 64 hexadecimal digits, or an object that names its source, "
        'as in {"source": "file", …}; wrapped: base64 text is expected; this was cut short or changed: copy it again',
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "former_keys": [KEY], "format": "gcm"}},
        "credentials.encryption: former_keys needs the format cobblestone-256: nothing in an object of another format "
        "tells which key it is under",
    ),
    # the other members of the encryption
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "format": "AES-256-GCM"}},
        "credentials.encryption.format: 'auto', 'cobblestone-256', 'tink-gcm-hkdf', 'gcm' or 's3-encryption-client' is expected",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "format": "GCM"}},
        "credentials.encryption.format: 'auto', 'cobblestone-256', 'tink-gcm-hkdf', 'gcm' or 's3-encryption-client' is expected",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "format": None}},
        "credentials.encryption.format: 'auto', 'cobblestone-256', 'tink-gcm-hkdf', 'gcm' or 's3-encryption-client' is expected",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "format": "gcm", "context": "ward 3"}},
        "the format gcm cannot bind a context; use cobblestone-256, or leave the context out",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "context": 7}},
        "credentials.encryption.context: text in quotation marks is expected",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "context": "ward 3\0one.csv"}},
        "credentials.encryption.context: it contains a zero character, which no context may contain",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "context": ["ward 3"]}},
        "credentials.encryption.context: text in quotation marks is expected",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "segment_size": "1048576"}},
        "credentials.encryption.segment_size: a whole number, without quotation marks, is expected",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "segment_size": "1 MiB"}},
        "credentials.encryption.segment_size: a whole number, without quotation marks, is expected",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "segment_size": 10}},
        "credentials.encryption.segment_size: the minimum is 57",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "segment_size": 10_000_000_000}},
        "credentials.encryption.segment_size: the maximum is 67108864",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "bind": False}},
        "credentials.encryption.bind: 'path' or 'none' is expected",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "manifest": "true"}},
        "credentials.encryption.manifest: true or false, without quotation marks, is expected",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "manifest": 1}},
        "credentials.encryption.manifest: true or false, without quotation marks, is expected",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "manifest": True}},
        "credentials.encryption.manifest: only a folder has one; this dataset is a single object",
    ),
    member(
        FILE,
        FOLDER,
        {"encryption": {"key": KEY, "manifest": True, "bind": "none"}},
        'credentials.encryption.manifest: it needs the objects\' names bound; leave out "bind": "none"',
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "pin": "abc"}},
        "credentials.encryption.pin: a pin is 64 hexadecimal digits, as `connectors fingerprint` prints them",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "pin": f"sha256:{OTHER_KEY}"}},
        "credentials.encryption.pin: a pin is 64 hexadecimal digits, as `connectors fingerprint` prints them",
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY, "pin": True}},
        "credentials.encryption.pin: text in quotation marks is expected",
    ),
    member(
        FILE,
        FOLDER,
        {"encryption": {"key": KEY, "pin": OTHER_KEY}},
        'credentials.encryption.pin: it identifies one object; set "manifest": true to pin a folder',
    ),
    member(
        FILE,
        FOLDER,
        {"encryption": {"key": KEY, "format": "gcm"}},
        'the format gcm cannot bind the names of a folder\'s objects, so the storage could swap them; use cobblestone-256, or set "bind": "none" in the encryption',
    ),
    member(FILE, PLACE, {"layout": "Folder"}, "credentials.layout: 'object' or 'folder' is expected"),
    member(FILE, PLACE, {"layout": True}, "credentials.layout: 'object' or 'folder' is expected"),
    member(FILE, PLACE, {"type": "S3"}, "no installed backend serves the credentials type 'S3'; did you mean s3?"),
    member(
        FILE,
        PLACE,
        {"type": "local"},
        "no installed backend serves the credentials type 'local'; installed: azure, file, gcs, https, memory, s3, sftp",
    ),
    member(FILE, PLACE, {"type": 7}, "credentials.type: 'file' is expected"),
    member(
        FILE,
        PLACE,
        {"type": KEY},
        "no installed backend serves the credentials type '…'; installed: azure, file, gcs, https, memory, s3, sftp",
        secret=True,
    ),
]
