"""The canonical form of documents: what RFC 8785 says, held against its published examples and a second library."""

from __future__ import annotations

import json

import jcs
import pytest
from generated_workflows import agreed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parties import story

from connectors.errors import InvalidDocument
from connectors.workflow.documents.canonical import canonical_bytes, digest_of, parse_canonical
from connectors.workflow.documents.drafts import Draft
from connectors.workflow.documents.kinds import Revocation

TRYING = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))

# The examples of RFC 8785, sections 3.2.2 and 3.2.3, and the test data that its author keeps with it, as far as they
# have no fractions, which no document has. Source: https://www.rfc-editor.org/rfc/rfc8785 and
# https://github.com/cyberphone/json-canonicalization/tree/master/testdata (arrays, french, structures, unicode, weird)
PUBLISHED = {
    "section 3.2.2": (
        r"""{"string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}""",
        r"""{"literals":[null,true,false],"string":"€$\u000f\nA'B\"\\\\\"/"}""",
    ),
    "section 3.2.3": (
        r"""{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
        "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}""",
        (
            '{"\\r":"Carriage Return","1":"One","\x80":"Control","\u00f6":"Latin Small Letter O With Diaeresis",'
            '"\u20ac":"Euro Sign","\U0001f600":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}'
        ),
    ),
    "arrays": ('{"": [56, {"d": true, "10": null, "1": [ ]}]}', '{"":[56,{"1":[],"10":null,"d":true}]}'),
    "french": (
        (
            '{"peach": "This sorting order", "p\u00e9ch\u00e9": "is wrong according to French", '
            '"p\u00eache": "but canonicalization MUST", "sin": "ignore locale"}'
        ),
        (
            '{"peach":"This sorting order","p\u00e9ch\u00e9":"is wrong according to French",'
            '"p\u00eache":"but canonicalization MUST","sin":"ignore locale"}'
        ),
    ),
    "structures": (
        r"""{"1": {"f": {"f": "hi", "F": 5}, "\n": 56}, "10": {}, "": "empty", "a": {}, "111": [{"e": "yes", "E": "no"}], "A": {}}""",
        r"""{"":"empty","1":{"\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{"E":"no","e":"yes"}],"A":{},"a":{}}""",
    ),
    "unicode": (r"""{"Unnormalized Unicode": "A\u030a"}""", '{"Unnormalized Unicode":"A\u030a"}'),
    "weird": (
        r"""{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\u000a": "Newline", "1": "One", "\u0080": "Control\u007f",
        "\ud83d\ude02": "Smiley", "\u00f6": "Latin Small Letter O With Diaeresis",
        "\ufb33": "Hebrew Letter Dalet With Dagesh", "</script>": "Browser Challenge"}""",
        (
            '{"\\n":"Newline","\\r":"Carriage Return","1":"One","</script>":"Browser Challenge","\x80":"Control\x7f",'
            '"\u00f6":"Latin Small Letter O With Diaeresis","\u20ac":"Euro Sign","\U0001f602":"Smiley",'
            '"\ufb33":"Hebrew Letter Dalet With Dagesh"}'
        ),
    ),
}

# Beyond the basic plane, characters are two units in UTF-16, which come before the last 8,192 that are one.
TEXTS = st.text(st.characters(exclude_categories=("Cs",))) | st.text(
    st.sampled_from('\x00\x1f\x7f\x80"\\/\u2028\ud7ff\ue000\ufb33\uffff\U00010000\U0001f600\U0010ffff'), max_size=4
)
WHOLE = st.integers(-(2**53) + 1, 2**53 - 1) | st.sampled_from([0, 2**53 - 1, -(2**53) + 1, 10**15, -1])
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_examples(name):
    given, expected = PUBLISHED[name]
    assert canonical_bytes(json.loads(given)) == expected.encode()
    assert jcs.canonicalize(json.loads(given)) == expected.encode()
    assert parse_canonical(expected.encode()) == json.loads(given)
    with pytest.raises(InvalidDocument, match="not in canonical form"):
        parse_canonical(given.encode())


@settings(TRYING, max_examples=400)
@given(st.dictionaries(TEXTS, JSON, max_size=6))
def test_two_libraries_write_the_same_bytes(value):
    assert canonical_bytes(value) == jcs.canonicalize(value)
    assert parse_canonical(canonical_bytes(value)) == value


@settings(TRYING, max_examples=50)
@given(agreed())
def test_two_libraries_give_every_document_the_same_name(true):
    request = true.request
    revocation = Revocation(request=request.digest, party=next(iter(true.people)), reason="x", when=request.created)
    draft = Draft(workflow=request.graph.workflow, history=(request.digest,))
    for document in (*request.parsed.values(), *true.configs.values(), request, revocation, draft):
        assert document.to_bytes() == jcs.canonicalize(document.members())
        assert document.digest == digest_of(jcs.canonicalize(document.members()))
        assert type(document).from_bytes(jcs.canonicalize(document.members())) == document
    for data in (true.bundle.to_bytes(), *(one.to_bytes() for one in true.bundle.decisions)):
        assert data == jcs.canonicalize(json.loads(data))


def test_every_document_comes_back_from_its_bytes_under_its_name():
    told, workflow = story()
    for digest, document in [*told.documents.items(), (workflow.digest, workflow)]:
        again = type(document).from_bytes(document.to_bytes())
        assert again == document
        assert digest_of(document.to_bytes()) == digest == again.digest


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"7",
        b"\xff",
        b'{"a":1 }',
        b'{"b":1,"a":1}',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a":NaN}',
        b'{"a":"\\u00e9"}',
        b'{"a":"\\/"}',
        b'{"a":"\\u001F"}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        '{"\ue000":1,"\U0001f600":1}'.encode(),
        b'{"a":9007199254740992}',
        b'{"a":-9007199254740992}',
        b'{"a":' + b"9" * 5_000 + b"}",
        b'{"a":"\\ud800"}',
        b'{"\\ud800":1}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_other_bytes_are_refused(data):
    with pytest.raises(InvalidDocument):
        parse_canonical(data)


@pytest.mark.parametrize(
    ("value", "message"), [(2**53, r"beyond 2\^53"), ("\udfff", "lone surrogate"), ([], "nested too deeply")]
)
def test_what_has_no_canonical_form_is_refused(value, message):
    if value == []:
        for _ in range(100_000):
            value = [value]
    with pytest.raises(InvalidDocument, match=message):
        canonical_bytes({"a": value})


def test_depth_is_an_error_of_ours_wherever_the_limit_is():
    for depth in range(900, 1_100):
        data = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
        try:
            assert canonical_bytes(parse_canonical(data)) == data
        except InvalidDocument:
            continue
