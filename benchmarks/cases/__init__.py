"""The cases, one module each: `run` takes the `Bench` and returns rows."""
