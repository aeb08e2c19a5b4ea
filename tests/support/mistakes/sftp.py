"""SFTP servers."""

from __future__ import annotations

import base64

import asyncssh
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mistakes import ABSENT, KEY, Mistake, location, member

_PEM = Ed25519PrivateKey.from_private_bytes(bytes(32)).private_bytes(
    Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
)
_PAIR = asyncssh.import_private_key(_PEM)
PUBLIC = _PAIR.export_public_key().decode().strip()
PRINT = _PAIR.get_fingerprint()
PRIVATE = _PAIR.export_private_key().decode()
LOCKED = _PAIR.export_private_key(passphrase="another", rounds=1, ignore_few_rounds=True).decode()
DOCUMENT = {"username": "clinic", "password": "hunter2hunter2", "host_key": PUBLIC, "encryption": {"key": KEY}}
PLACE = "sftp://files.example/data/conditions.sealed"

MISTAKES: list[Mistake] = [
    member(DOCUMENT, PLACE, {"username": ABSENT}, "credentials.username: required"),
    member(DOCUMENT, PLACE, {"username": ""}, "credentials.username: it is empty"),
    member(DOCUMENT, PLACE, {"username": 7}, "credentials.username: text in quotation marks is expected"),
    member(
        DOCUMENT,
        PLACE,
        {"user": "clinic", "username": ABSENT},
        "credentials.user: unknown member; did you mean username?",
    ),
    member(DOCUMENT, PLACE, {"password": ""}, "credentials.password: empty; leave it out if there is none"),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT},
        'credentials: password or private_key is missing; for the keys that this machine provides add "ambient": true',
    ),
    member(DOCUMENT, PLACE, {"password": 1234}, "credentials.password: text in quotation marks is expected"),
    member(
        DOCUMENT,
        PLACE,
        {"passwd": "hunter2hunter2", "password": ABSENT},
        "credentials.passwd: unknown member; did you mean password?",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"private_key": PRIVATE},
        "credentials: give exactly one of password, private_key and ambient",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": PUBLIC},
        "credentials.private_key: this is a public key; the private key's file has no .pub in its name",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": "~/.ssh/id_ed25519"},
        "credentials.private_key: this looks like a file's name; give the file's content, with its line ends as \\n",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": PRIVATE.replace("\n", "")},
        "credentials.private_key: its line ends are missing: in JSON a line end is \\n, with one backslash",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": PRIVATE.replace("\n", " ")},
        "credentials.private_key: its line ends are missing: in JSON a line end is \\n, with one backslash",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": PRIVATE.replace("\n", "\\n")},
        "credentials.private_key: its line ends are missing: in JSON a line end is \\n, with one backslash",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": "\n".join(PRIVATE.split("\n")[1:-2])},
        "credentials.private_key: not the complete text of a private key's file, in OpenSSH's format or PEM",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": PRIVATE[:120]},
        "credentials.private_key: it cannot be read; copy all of the file that ssh-keygen wrote",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n"},
        "credentials.private_key: this is a key in PuTTY's format; export it from PuTTYgen as an OpenSSH key",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": base64.b64encode(PRIVATE.encode()).decode()},
        "credentials.private_key: not the complete text of a private key's file, in OpenSSH's format or PEM",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": ""},
        "credentials.private_key: not the complete text of a private key's file, in OpenSSH's format or PEM",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": LOCKED},
        "credentials.passphrase: missing, but the private key is encrypted",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": LOCKED, "passphrase": "hunter3hunter3"},
        "credentials.passphrase: it does not decrypt the private key",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"passphrase": "hunter3hunter3"},
        "credentials: passphrase is only for a private_key",
        secret=True,
    ),
    member(DOCUMENT, PLACE, {"host_key": ABSENT}, "credentials.host_key: required"),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": ""},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host name, such as "ssh-ed25519 AAAA…", or its fingerprint, such as "SHA256:…"; the known types are ssh-ed25519, ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, ecdsa-sha2-nistp521, ssh-rsa',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": f"files.example {PUBLIC}"},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host name, such as "ssh-ed25519 AAAA…", or its fingerprint, such as "SHA256:…"; leave out what precedes the key\'s type',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": f"[files.example]:2222 {PUBLIC}"},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host name, such as "ssh-ed25519 AAAA…", or its fingerprint, such as "SHA256:…"; leave out what precedes the key\'s type',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": f"|1|c2FsdA==|aGFzaA== {PUBLIC}"},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host name, such as "ssh-ed25519 AAAA…", or its fingerprint, such as "SHA256:…"; leave out what precedes the key\'s type',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": PUBLIC.split()[1]},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host name, such as "ssh-ed25519 AAAA…", or its fingerprint, such as "SHA256:…"; the key\'s type is missing before it',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": PUBLIC[:-10]},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host name, such as "ssh-ed25519 AAAA…", or its fingerprint, such as "SHA256:…"; this one is damaged or incomplete',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": f"{PUBLIC}\n{PUBLIC}"},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host name, such as "ssh-ed25519 AAAA…", or its fingerprint, such as "SHA256:…"; these are several keys; give a list of them',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48"},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host name, such as "ssh-ed25519 AAAA…", or its fingerprint, such as "SHA256:…"; this is an MD5 fingerprint; `ssh-keygen -l` shows the other',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": PRINT[7:]},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host name, such as "ssh-ed25519 AAAA…", or its fingerprint, such as "SHA256:…"; SHA256: is missing before it',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": f"256 {PRINT} root@files (ED25519)"},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host name, such as "ssh-ed25519 AAAA…", or its fingerprint, such as "SHA256:…"; give SHA256:… alone, with SHA in capitals',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": PRINT.lower()},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host name, such as "ssh-ed25519 AAAA…", or its fingerprint, such as "SHA256:…"; give SHA256:… alone, with SHA in capitals',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": PRIVATE},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host name, such as "ssh-ed25519 AAAA…", or its fingerprint, such as "SHA256:…"; this is a private key, which only the server may have',
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": "/etc/ssh/ssh_host_ed25519_key.pub"},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host name, such as "ssh-ed25519 AAAA…", or its fingerprint, such as "SHA256:…"; this looks like a file\'s name; give the line in the file',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": "# files.example:22 SSH-2.0-OpenSSH_9.6"},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host name, such as "ssh-ed25519 AAAA…", or its fingerprint, such as "SHA256:…"; this is a comment of ssh-keyscan; the key is in the next line',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": "*"},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host name, such as "ssh-ed25519 AAAA…", or its fingerprint, such as "SHA256:…"; the known types are ssh-ed25519, ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, ecdsa-sha2-nistp521, ssh-rsa',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": []},
        "credentials.host_key: at least one is required: it proves which server the credentials are sent to",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": None},
        "credentials.host_key: text in quotation marks is expected, or a list of such",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": {"ssh-ed25519": "AAAA"}},
        "credentials.host_key: text in quotation marks is expected, or a list of such",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"known_hosts": PUBLIC, "host_key": ABSENT},
        "credentials.host_key: required; credentials.known_hosts: unknown member; known members: ambient, encryption, host_key, layout, passphrase, password, private_key, type, username",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"hostkey": PUBLIC, "host_key": ABSENT},
        "credentials.hostkey: unknown member; did you mean host_key?",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host": "files.example"},
        "credentials.host: unknown member; known members: ambient, encryption, host_key, layout, passphrase, password, private_key, type, username",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"port": 22},
        "credentials.port: unknown member; known members: ambient, encryption, host_key, layout, passphrase, password, private_key, type, username",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"ambient": True},
        "credentials: give exactly one of password, private_key and ambient",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"ambient": "true", "password": ABSENT},
        "credentials.ambient: true or false, without quotation marks, is expected",
    ),
    member(
        DOCUMENT, PLACE, {"type": "ssh"}, "no installed backend serves the credentials type 'ssh'; did you mean sftp?"
    ),
    location(DOCUMENT, "sftp://", "the location 'sftp://' is not a URL; add what it refers to, as in s3://bucket/key"),
    location(
        DOCUMENT,
        "sftp://files.example",
        "a location on an SFTP server is sftp://host/path, and 'sftp://files.example' is not: it does not name a path",
    ),
    location(
        DOCUMENT,
        "sftp:///x",
        "a location on an SFTP server is sftp://host/path, and 'sftp:///x' is not: its host or port is missing or invalid",
    ),
    location(
        DOCUMENT,
        "sftp:/files.example/x",
        "the location 'sftp:/files.example/x' is not a URL; it must begin with sftp://, with two slashes",
    ),
    location(
        DOCUMENT,
        "sftp://clinic@files.example/x",
        "a location on an SFTP server is sftp://host/path, and 'sftp://files.example/x' is not: it contains a user; put that into the credentials as username",
    ),
    location(
        DOCUMENT,
        "sftp://clinic:hunter2@files.example/x",
        "a location on an SFTP server is sftp://host/path, and 'sftp://files.example/x' is not: it contains a user; put that into the credentials as username",
        secrets=("hunter2",),
    ),
    location(
        DOCUMENT,
        "clinic@files.example:/data/x",
        "the location 'files.example:/data/x' is not a URL; write a file on another machine as sftp://host/path",
    ),
    location(
        DOCUMENT,
        "sftp://files.example:data/x",
        "a location on an SFTP server is sftp://host/path, and 'sftp://…' is not: its host or port is missing or invalid",
    ),
    location(
        DOCUMENT,
        "sftp://files.example:99999/x",
        "a location on an SFTP server is sftp://host/path, and 'sftp://files.example:99999/x' is not: its host or port is missing or invalid",
    ),
    location(
        DOCUMENT,
        "sftp://files.example//data/x",
        "a location on an SFTP server is sftp://host/path, and 'sftp://files.example//data/x' is not: its path contains an empty segment",
    ),
    location(
        DOCUMENT,
        "sftp://files.example/data/../x",
        "a location on an SFTP server is sftp://host/path, and 'sftp://files.example/data/../x' is not: its path contains a segment . or ..",
    ),
    location(
        DOCUMENT,
        "sftp://files.example\\data\\x",
        "a location on an SFTP server is sftp://host/path, and 'sftp://files.example\\\\data\\\\x' is not: its host or port is missing or invalid",
    ),
    location(DOCUMENT, "ftps://files.example/x", "no installed backend serves the scheme 'ftps'; did you mean sftp?"),
    location(DOCUMENT, "scp://files.example/x", "no installed backend serves the scheme 'scp'; did you mean sftp?"),
]
