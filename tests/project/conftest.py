"""Keys are private here too."""

from private import private_files

__all__ = ["private_files"]
