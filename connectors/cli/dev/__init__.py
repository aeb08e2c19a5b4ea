"""Verbs for developers and newcomers: backends, benchmarks, the demo."""
