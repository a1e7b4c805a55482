"""Store passwords of accounts and uuids of sessions as keyed hashes, and encrypt results that hold a session.

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
"""The only message whose result holds the uuid of a session."""


def upgrade() -> None:
    """Replace secrets in plain text; open the vault only if the database holds any."""
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
    """Delete all sessions. Passwords cannot be recovered from their hashes, so none is valid afterwards."""
    connection = op.get_bind()
    connection.execute(sa.delete(SESSIONS))
    connection.execute(sa.delete(JOBS).where(JOBS.c.apiMessageName == RENEWAL))
