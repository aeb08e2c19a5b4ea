"""Workflows: who connects whose datasets with whose applications, approved by all of them in signed documents.

Needs the extra ``enclave-connectors[workflow]``. No server is part of it: documents are bytes, and who has them can
verify them. One floor below another: `canonical`, `documents`, `drafts`, `graph`, `requests`, `signing`, `runtime`,
`verification`; on these, for people, `identities`, `store` and `passing`. `ccm` stands by itself.
"""
