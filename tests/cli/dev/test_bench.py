"""``connectors bench``: figures of every format, and what a large object would take. No figure is asserted."""

from __future__ import annotations

import json
import re

import pytest
from command_line import connectors


def test_a_table_of_every_format(tmp_path):
    done = connectors("bench", "--seconds", "0.01", "--size", "5", cwd=tmp_path)
    assert done.code == 0, done.err
    machine, empty, head, *rows = done.text.splitlines()
    assert re.search(r"\d+ processors; .*Python 3\.\d+.*OpenSSL", machine)
    assert not empty
    assert re.split(r"  +", head)[-1] == "Decrypting 5 GiB"
    assert [row.split()[0] for row in rows] == ["cobblestone-256", "tink-gcm-hkdf", "gcm"]
    for row in rows:
        assert re.fullmatch(r"\S+ +[\d.]+ GB/s +\d+% +[\d.]+ GB/s +[\d.]+ GB/s +[\d.]+ (seconds|minutes)", row)


def test_json(tmp_path):
    done = connectors("bench", "--seconds", "0.01", "--size", "0.5", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    told = json.loads(done.text)
    assert told["size"] == 1 << 29
    assert told["machine"]["processors"] >= 1
    for one in told["formats"]:
        assert min(one[figure] for figure in ("cipher", "opened", "sealed", "opened_by_all")) > 0


@pytest.mark.parametrize("option", ["--size", "--seconds"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
def test_what_is_no_size_is_refused(option, value, tmp_path):
    done = connectors("bench", option, value, cwd=tmp_path)
    assert "--size and --seconds must be numbers above zero" in done.error()
