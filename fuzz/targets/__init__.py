"""The fuzz targets: each is a module with `check`, which gets the bytes, and `seeds`, which returns the initial inputs.

`check` returns the outcome of its input: `ACCEPTED`, or the name of our error that the parser raised. It raises an
error if the parser broke a promise.
"""

from __future__ import annotations

NAMES = ("formats", "credentials", "locations", "documents", "responses", "clouds", "workflow")
"""The targets, each a module of this package."""
