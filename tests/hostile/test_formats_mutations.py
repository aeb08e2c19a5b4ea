"""Sealed objects with random changes of every kind that needs no key: each of them is rejected."""

from __future__ import annotations

import random

import pytest

from connectors.errors import IntegrityError
from fuzz.checks import Broken
from fuzz.mutations import CHANGES, READS, Subject, change, refuse

CASES = 10_000
"""The number of changed objects of each format."""
SUBJECTS = {
    "cobblestone-256": [
        Subject("by name", "cobblestone-256", "cobblestone-256"),
        Subject("with a context", "cobblestone-256", "cobblestone-256", (("context", b"ward"),)),
    ],
    "tink-gcm-hkdf": [
        Subject("the smallest segments", "tink-gcm-hkdf", "tink-gcm-hkdf", (("segment_size", 57),)),
        Subject("with a context", "tink-gcm-hkdf", "tink-gcm-hkdf", (("segment_size", 100), ("context", b"ward"))),
    ],
    "gcm": [Subject("by name", "gcm", "gcm")],
    "auto": [
        Subject("over cobblestone-256", "cobblestone-256", "auto"),
        Subject("over cobblestone-256, with a context", "cobblestone-256", "auto", (("context", b"ward"),)),
        Subject("over gcm", "gcm", "auto"),
    ],
}


def sizes(subject: Subject) -> list[int]:
    """Sizes from zero to a few chunks; most are small, which tests as much and is faster."""
    chunk, lead = subject.layout.chunk, subject.layout.lead
    return [
        0,
        1,
        15,
        16,
        41,
        200,
        chunk - lead,
        min(chunk, 1 << 14),
        2 * min(chunk, 1 << 14) + 17,
        3 * min(chunk, 5000),
    ]


@pytest.mark.parametrize("format", SUBJECTS)
def test_changed_objects_are_refused(format, tally):
    generator = random.Random(f"changes of {format}")
    below = generator.randrange
    done = 0
    with tally(
        "random changes: bits, regions, header fields and chunks flipped, cut, added, moved, spliced", format
    ) as cases:
        while done < CASES:
            subject = generator.choice(SUBJECTS[format])
            plain = generator.randbytes(generator.choice(sizes(subject)))
            sealed = subject.seal(plain)
            others = [subject.seal(plain), subject.seal(generator.randbytes(len(plain) + generator.choice((0, 1, 40))))]
            for kind in generator.choices(list(CHANGES), k=50):
                changed = change(kind, subject, sealed, others, below)
                # The change may happen to give the object itself, or one of the others.
                if changed not in (sealed, *others) and done < CASES:
                    cases.count(type(refuse(subject, changed, plain, below)).__name__)
                    done += 1


@pytest.mark.parametrize("read", range(len(READS)))
def test_checks_detect_an_object_that_opens(read):
    subject = SUBJECTS["cobblestone-256"][0]
    choices = iter([read])
    with pytest.raises((Broken, IntegrityError)) as caught:
        refuse(subject, subject.seal(b"plain bytes"), b"plain bytes", lambda count: next(choices, 0) % count)
    assert caught.type is Broken
