"""A management node: its parts, its HTTP application, its records."""
