"""The documents of a workflow: their models, canonical form, graph and runtime configurations."""
