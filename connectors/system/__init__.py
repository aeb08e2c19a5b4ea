"""What the operating system is asked for in one way only: atomic local files, its errors, and stops by signals."""
