"""The key in a credentials document."""

from __future__ import annotations

import base64
import re

from mistakes import FILE, KEY, PLACE, Mistake, member

MISTAKES: list[Mistake] = [
    member(
        FILE,
        PLACE,
        {"encryption": {"key": f'"{KEY}"'}},
        "credentials.encryption.key: a key is 64 hexadecimal digits; leave out the quotation marks around them",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": f"“{KEY}”"}},
        "credentials.encryption.key: a key is 64 hexadecimal digits; leave out the quotation marks around them",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": f"0x{KEY}"}},
        "credentials.encryption.key: a key is 64 hexadecimal digits; leave out the 0x in front of them",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY[:-1]}},
        "credentials.encryption.key: a key is 64 hexadecimal digits; this one has 63 characters",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": f"{KEY}0"}},
        "credentials.encryption.key: a key is 64 hexadecimal digits; this one has 65 characters",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": base64.b64encode(bytes.fromhex(KEY)).decode()}},
        "credentials.encryption.key: a key is 64 hexadecimal digits; this looks like base64; convert it with `base64 -d | xxd -p -c 64`",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": "/home/anna/clinic.hex"}},
        "credentials.encryption.key: a key is 64 hexadecimal digits; this looks like a file name; give the contents of the file",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": "clinic.hex"}},
        "credentials.encryption.key: a key is 64 hexadecimal digits; this looks like a file name; give the contents of the file",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": r"C:\Users\Anna\clinic.hex"}},
        "credentials.encryption.key: a key is 64 hexadecimal digits; this looks like a file name; give the contents of the file",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": " ".join(re.findall("....", KEY))}},
        "credentials.encryption.key: a key is 64 hexadecimal digits; leave out the characters between them",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": ":".join(re.findall("..", KEY))}},
        "credentials.encryption.key: a key is 64 hexadecimal digits; leave out the characters between them",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": KEY.replace("0", "O")}},
        "credentials.encryption.key: a key is 64 hexadecimal digits; this one has characters other than 0 to 9 and A to F",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": "<64 hex digits>"}},
        "credentials.encryption.key: a key is 64 hexadecimal digits; this one has 15 characters",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": ""}},
        "credentials.encryption.key: a key is 64 hexadecimal digits; this one is empty",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": None}},
        "credentials.encryption.key: a key is 64 hexadecimal digits, in quotation marks",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": 7}},
        "credentials.encryption.key: a key is 64 hexadecimal digits, in quotation marks",
        secret=True,
    ),
    member(
        FILE,
        PLACE,
        {"encryption": {"key": [KEY]}},
        "credentials.encryption.key: a key is 64 hexadecimal digits, in quotation marks",
        secret=True,
    ),
    member(FILE, PLACE, {"encryption": {"key": f"{KEY}\n"}}, None, secret=True),
    member(FILE, PLACE, {"encryption": {"key": KEY.lower()}}, None, secret=True),
]
