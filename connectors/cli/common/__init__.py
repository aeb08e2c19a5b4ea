"""Code that the verbs share: the terminal, options, exit codes, files."""
