"""Coverage-guided fuzzing of everything in this project that parses untrusted bytes. See README.md."""
