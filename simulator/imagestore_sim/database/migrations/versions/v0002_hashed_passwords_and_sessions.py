"""Passwords of accounts and uuids of sessions as keyed hashes; a stored result that shows a session is encrypted.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from imagestore_sim.database.vault import Vault

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ACCOUNTS = (sa.table("AccountVO", sa.column("uuid"), sa.column("password")),
            sa.table("UserVO", sa.column("uuid"), sa.column("password")))  # fmt: skip
SESSIONS = sa.table("SessionVO", sa.column("uuid"))
JOBS = sa.table("RestAPIVO", sa.column("uuid"), sa.column("apiMessageName"), sa.column("result"))
RENEWAL = "APIRenewSessionMsg"
"""The one job whose result shows the uuid of a session."""


def upgrade() -> None:
    """Replace what is stored as clients send it. The vault is opened for a database that holds any of it."""
    connection = op.get_bind()
    renewals = sa.select(JOBS.c.uuid, JOBS.c.result).where(JOBS.c.apiMessageName == RENEWAL, JOBS.c.result.is_not(None))
    passwords = [(table, connection.execute(sa.select(table)).all()) for table in ACCOUNTS]
    sessions = connection.execute(sa.select(SESSIONS)).all()
    results = connection.execute(renewals).all()
    if not (sessions or results or any(rows for _, rows in passwords)):
        return
    vault: Vault = context.config.attributes["vault"]()
    for table, rows in passwords:
        for uuid, password in rows:
            protected = sa.update(table).where(table.c.uuid == uuid).values(password=vault.protect(password))
            connection.execute(protected)
    for (uuid,) in sessions:
        hashed = sa.update(SESSIONS).where(SESSIONS.c.uuid == uuid).values(uuid=vault.fingerprint(uuid))
        connection.execute(hashed)
    for uuid, result in results:
        connection.execute(sa.update(JOBS).where(JOBS.c.uuid == uuid).values(result=vault.encrypt(result)))


def downgrade() -> None:
    """Log everybody out; passwords cannot be had back from their hashes, so that none is right any more."""
    connection = op.get_bind()
    connection.execute(sa.delete(SESSIONS))
    connection.execute(sa.delete(JOBS).where(JOBS.c.apiMessageName == RENEWAL))
