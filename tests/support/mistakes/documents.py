"""The text of credentials documents."""

from __future__ import annotations

from mistakes import KEY, OTHER_KEY, PLACE, Mistake, text

MISTAKES: list[Mistake] = [
    text(
        PLACE,
        '{"encryption": {"key": "%s"},}' % KEY,
        "the credentials are not a valid document: not JSON at line 1, column 91: a comma before a closing brace is not allowed; remove it",
    ),
    text(
        PLACE,
        "{'encryption': {'key': '%s'}}" % KEY,
        "the credentials are not a valid document: not JSON at line 1, column 2: JSON uses double quotation marks, not single ones",
    ),
    text(
        PLACE,
        "{“encryption”: {“key”: “%s”}}" % KEY,
        'the credentials are not a valid document: not JSON at line 1, column 2: these are typographic quotation marks; JSON uses "',
    ),
    text(
        PLACE,
        '{\n  // ours\n  "encryption": {"key": "%s"}\n}' % KEY,
        "the credentials are not a valid document: not JSON at line 2, column 3: JSON has no comments; leave them out",
    ),
    text(
        PLACE,
        '# ours\n{"encryption": null}',
        "the credentials are not a valid document: it is not JSON, which begins with a brace: {",
    ),
    text(
        PLACE,
        '{"encryption": {"key": "%s"}' % KEY,
        "the credentials are not a valid document: not JSON at line 1, column 91: the end is missing",
    ),
    text(
        PLACE,
        '"encryption": {"key": "%s"}' % KEY,
        "the credentials are not a valid document: it is not JSON, which begins with a brace: {",
    ),
    text(
        PLACE,
        '{"encryption": {"key": %s}}' % KEY,
        "the credentials are not a valid document: not JSON at line 1, column 25: text must be in double quotation marks",
    ),
    text(
        PLACE,
        '{encryption: {key: "%s"}}' % KEY,
        "the credentials are not a valid document: not JSON at line 1, column 2: a name in double quotation marks is expected",
    ),
    text(
        PLACE,
        '{"encryption" {"key": "%s"}}' % KEY,
        "the credentials are not a valid document: not JSON at line 1, column 15: a colon is missing",
    ),
    text(
        PLACE,
        '{"encryption": null "layout": "object"}',
        "the credentials are not a valid document: not JSON at line 1, column 21: a comma is missing",
    ),
    text(
        PLACE,
        '{"encryption": None}',
        "the credentials are not a valid document: not JSON at line 1, column 16: null, true and false must be in lower case",
    ),
    text(
        PLACE,
        '{"encryption": {"key": "%s", "key": "%s"}}' % (KEY, OTHER_KEY),
        "the credentials are not a valid document: a member appears twice: key",
    ),
    text(
        PLACE,
        '{"encryption": null};',
        "the credentials are not a valid document: not JSON at line 1, column 21: there is text after the last brace",
    ),
    text(
        PLACE,
        '[{"encryption": null}]',
        "the credentials are not a valid document: a JSON object, in braces, is expected, not an array",
    ),
    text(
        PLACE,
        '{"encryption": {"key": "%s}}' % KEY,
        "the credentials are not a valid document: not JSON at line 1, column 24: this text has no closing quotation mark",
    ),
    text(
        PLACE,
        '{"encryption": {"key": "%s\n"}}' % KEY,
        "the credentials are not a valid document: not JSON at line 1, column 89: text contains a line break or a tab; write \\n or \\t",
    ),
    text(
        PLACE,
        '{"layout": "C:\\clinic"}',
        "the credentials are not a valid document: not JSON at line 1, column 15: a backslash in text must be written twice",
    ),
    text(
        PLACE,
        '{\xa0"encryption": null}',
        "the credentials are not a valid document: not JSON at line 1, column 2: this is a no-break space; replace it with a plain one",
        '{ "encryption": null} with a no-break space',
    ),
    text(PLACE, KEY, "the credentials are not a valid document: it is not JSON, which begins with a brace: {"),
    text(
        PLACE,
        f"encryption:\n  key: {KEY}",
        "the credentials are not a valid document: it is not JSON, which begins with a brace: {",
    ),
    text(PLACE, "", "the credentials are not a valid document: it is empty"),
    text(PLACE, "null", "the credentials are not a valid document: a JSON object, in braces, is expected, not null"),
    text(
        PLACE,
        ('{"encryption": {"key": "%s"}}' % KEY).encode("utf-16"),
        "the credentials are not a valid document: it is UTF-16 text; save it as UTF-8",
        "a document saved as UTF-16, Notepad's “Unicode”",
    ),
    text(
        PLACE,
        '{"encryption": {"key": "%s", "context": "Köln"}}'.encode("latin-1"),
        "the credentials are not a valid document: it is not UTF-8 text; save it as UTF-8",
        "a document saved in an old encoding, with “Köln” in it",
    ),
    text(
        PLACE,
        ('{"encryption": {"key": "%s"}}' % KEY).encode("utf-8-sig"),
        None,
        "a document saved as UTF-8 with a mark in front",
    ),
]
