"""What writes the generated documents, a module each; docs/generate.py runs them."""
