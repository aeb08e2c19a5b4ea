"""Verbs for data: keys, encryption, datasets, presigned URLs, runs."""
