"""Workflows: datasets connected with applications, approved by all their owners in signed documents.

Needs the extra ``enclave-connectors[workflow]``. It needs no server: documents are bytes that anybody can verify.
The packages, each built on the ones before it: `documents`, `trust`, `store` and `review`. `deploy` writes app config
folders; `ccm` is independent of the others.
"""
