"""The documents of a workflow: models, canonical bytes, what follows from them."""
