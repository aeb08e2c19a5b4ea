"""Verbs for identities and workflows. They need the extra ``workflow``."""
