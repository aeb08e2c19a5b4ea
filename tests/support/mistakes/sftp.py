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
    member(DOCUMENT, PLACE, {"password": ""}, "credentials.password: empty; leave it out where there is none"),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT},
        'credentials: password or private_key is missing; for the keys that this machine offers say "ambient": true',
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
        "credentials: give either password, or private_key, or ambient; not two of them",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": PUBLIC},
        "credentials.private_key: this is a public key; the private one's file has its name without .pub",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": "~/.ssh/id_ed25519"},
        "credentials.private_key: this looks like a file's name; give what is in the file, its line ends as \\n",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": PRIVATE.replace("\n", "")},
        "credentials.private_key: its line ends are lost: in JSON each of them is \\n, with one backslash",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": PRIVATE.replace("\n", " ")},
        "credentials.private_key: its line ends are lost: in JSON each of them is \\n, with one backslash",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": PRIVATE.replace("\n", "\\n")},
        "credentials.private_key: its line ends are lost: in JSON each of them is \\n, with one backslash",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": "\n".join(PRIVATE.split("\n")[1:-2])},
        "credentials.private_key: not the text of a private key's file in OpenSSH's format or PEM, all its lines of it",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": PRIVATE[:120]},
        "credentials.private_key: it cannot be read; give it as ssh-keygen wrote it, all of it",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n"},
        "credentials.private_key: this is a key in PuTTY's format; have PuTTYgen export it as an OpenSSH key",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": base64.b64encode(PRIVATE.encode()).decode()},
        "credentials.private_key: not the text of a private key's file in OpenSSH's format or PEM, all its lines of it",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": ""},
        "credentials.private_key: not the text of a private key's file in OpenSSH's format or PEM, all its lines of it",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": LOCKED},
        "credentials.passphrase: missing, and the private key is encrypted",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"password": ABSENT, "private_key": LOCKED, "passphrase": "hunter3hunter3"},
        "credentials.passphrase: the private key does not open with it",
        secret=True,
    ),
    member(
        DOCUMENT, PLACE, {"passphrase": "hunter3hunter3"}, "credentials: passphrase goes with private_key", secret=True
    ),
    member(DOCUMENT, PLACE, {"host_key": ABSENT}, "credentials.host_key: required"),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": ""},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host\'s name, as in "ssh-ed25519 AAAA…", or its fingerprint, as in "SHA256:…"; known are ssh-ed25519, ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, ecdsa-sha2-nistp521, ssh-rsa',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": f"files.example {PUBLIC}"},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host\'s name, as in "ssh-ed25519 AAAA…", or its fingerprint, as in "SHA256:…"; leave out what stands before the kind of the key',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": f"[files.example]:2222 {PUBLIC}"},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host\'s name, as in "ssh-ed25519 AAAA…", or its fingerprint, as in "SHA256:…"; leave out what stands before the kind of the key',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": f"|1|c2FsdA==|aGFzaA== {PUBLIC}"},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host\'s name, as in "ssh-ed25519 AAAA…", or its fingerprint, as in "SHA256:…"; leave out what stands before the kind of the key',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": PUBLIC.split()[1]},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host\'s name, as in "ssh-ed25519 AAAA…", or its fingerprint, as in "SHA256:…"; its kind is missing in front of it',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": PUBLIC[:-10]},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host\'s name, as in "ssh-ed25519 AAAA…", or its fingerprint, as in "SHA256:…"; this one is damaged, or not all of it is there',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": f"{PUBLIC}\n{PUBLIC}"},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host\'s name, as in "ssh-ed25519 AAAA…", or its fingerprint, as in "SHA256:…"; these are several; give a list of them',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48"},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host\'s name, as in "ssh-ed25519 AAAA…", or its fingerprint, as in "SHA256:…"; this is an MD5 fingerprint; `ssh-keygen -l` shows the other',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": PRINT[7:]},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host\'s name, as in "ssh-ed25519 AAAA…", or its fingerprint, as in "SHA256:…"; SHA256: is missing in front of it',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": f"256 {PRINT} root@files (ED25519)"},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host\'s name, as in "ssh-ed25519 AAAA…", or its fingerprint, as in "SHA256:…"; SHA256:… stands alone, in capitals',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": PRINT.lower()},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host\'s name, as in "ssh-ed25519 AAAA…", or its fingerprint, as in "SHA256:…"; SHA256:… stands alone, in capitals',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": PRIVATE},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host\'s name, as in "ssh-ed25519 AAAA…", or its fingerprint, as in "SHA256:…"; this is a private key, which is nobody\'s but the server\'s',
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": "/etc/ssh/ssh_host_ed25519_key.pub"},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host\'s name, as in "ssh-ed25519 AAAA…", or its fingerprint, as in "SHA256:…"; this looks like a file\'s name; give the line that is in it',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": "# files.example:22 SSH-2.0-OpenSSH_9.6"},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host\'s name, as in "ssh-ed25519 AAAA…", or its fingerprint, as in "SHA256:…"; this is a comment of ssh-keyscan\'s; the key is in the next line',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": "*"},
        'credentials.host_key: a host key is a public key as in known_hosts, without the host\'s name, as in "ssh-ed25519 AAAA…", or its fingerprint, as in "SHA256:…"; known are ssh-ed25519, ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, ecdsa-sha2-nistp521, ssh-rsa',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"host_key": []},
        "credentials.host_key: at least one is needed: without it nobody knows whom the credentials are sent to",
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
        "credentials: give either password, or private_key, or ambient; not two of them",
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
        "a location on an SFTP server is sftp://host/path, and 'sftp:///x' is not: it does not name a host, or its port is none",
    ),
    location(
        DOCUMENT,
        "sftp:/files.example/x",
        "the location 'sftp:/files.example/x' is not a URL; it must begin with sftp://, with two slashes",
    ),
    location(
        DOCUMENT,
        "sftp://clinic@files.example/x",
        "a location on an SFTP server is sftp://host/path, and 'sftp://files.example/x' is not: it has a user in it; the user goes into the credentials, as their username",
    ),
    location(
        DOCUMENT,
        "sftp://clinic:hunter2@files.example/x",
        "a location on an SFTP server is sftp://host/path, and 'sftp://files.example/x' is not: it has a user in it; the user goes into the credentials, as their username",
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
        "a location on an SFTP server is sftp://host/path, and 'sftp://…' is not: it does not name a host, or its port is none",
    ),
    location(
        DOCUMENT,
        "sftp://files.example:99999/x",
        "a location on an SFTP server is sftp://host/path, and 'sftp://files.example:99999/x' is not: it does not name a host, or its port is none",
    ),
    location(
        DOCUMENT,
        "sftp://files.example//data/x",
        "a location on an SFTP server is sftp://host/path, and 'sftp://files.example//data/x' is not: its path has an empty segment in it",
    ),
    location(
        DOCUMENT,
        "sftp://files.example/data/../x",
        "a location on an SFTP server is sftp://host/path, and 'sftp://files.example/data/../x' is not: its path has a segment . or .. in it",
    ),
    location(
        DOCUMENT,
        "sftp://files.example\\data\\x",
        "a location on an SFTP server is sftp://host/path, and 'sftp://files.example\\\\data\\\\x' is not: it does not name a host, or its port is none",
    ),
    location(DOCUMENT, "ftps://files.example/x", "no installed backend serves the scheme 'ftps'; did you mean sftp?"),
    location(DOCUMENT, "scp://files.example/x", "no installed backend serves the scheme 'scp'; did you mean sftp?"),
]
