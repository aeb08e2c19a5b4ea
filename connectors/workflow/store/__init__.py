"""Stores of workflow documents, and how documents pass between them."""
