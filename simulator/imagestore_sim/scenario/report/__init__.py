"""Writes the reports of scenarios: HTML, JUnit XML, JSON lines."""
