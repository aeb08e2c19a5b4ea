"""Fuzzing: strange bytes, guided by what they reach, for everything here that parses a stranger's. See README.md."""
