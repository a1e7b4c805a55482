"""The labels by which what is in an engine is known."""

PROJECT = "com.docker.compose.project"
HOST = "imagestore-sim.host"
"""Of a host in docker-compose.yml."""
OWNER = "imagestore-sim.owner"
"""Of all that a run has made: by whom."""
KEPT = "imagestore-sim.kept"
FOLDER = "imagestore-sim.folder"
