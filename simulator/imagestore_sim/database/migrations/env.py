"""Alembic's entry point: run the migrations on the connection in its attributes."""

from __future__ import annotations

from alembic import context

from imagestore_sim.database.models import Model

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Model.metadata,
    render_as_batch=True,
)
context.run_migrations()
