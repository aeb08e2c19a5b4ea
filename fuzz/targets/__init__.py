"""The targets: a module each, with `check`, which is given the bytes, and `seeds`, the inputs to begin with.

`check` returns what came of its input, in a word: `ACCEPTED`, or the name of the error of ours that left the parser. It
raises whatever must not be.
"""

from __future__ import annotations

NAMES = ("formats", "credentials", "locations", "documents", "answers", "clouds")
"""The targets, each a module of this package."""
