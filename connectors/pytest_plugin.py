"""The pytest plugin: assertions of the contracts explain themselves. Apart from them, so that it costs nothing."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("connectors.testing")
