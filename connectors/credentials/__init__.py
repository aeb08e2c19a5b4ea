"""Credentials documents: access to a dataset, and how its bytes are encrypted."""

from connectors.credentials.model import Credentials, Encryption, SecretModel, validate
from connectors.credentials.parsing import parse_document, printable_name

__all__ = ["Credentials", "Encryption", "SecretModel", "parse_document", "printable_name", "validate"]
