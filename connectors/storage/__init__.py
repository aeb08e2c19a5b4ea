"""Everything that a backend imports: its contract, the base of its filesystem, and what keeps requests safe."""
