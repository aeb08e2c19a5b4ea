"""Filesystems of plain files over sealed objects."""
