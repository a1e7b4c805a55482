"""Records what happens on a node, and writes it as a scenario."""
