"""What the operating system is asked for in one way only: atomic local files, and stops by signals."""
