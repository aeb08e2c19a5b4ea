"""Who signed what: identities, signatures, approval."""
