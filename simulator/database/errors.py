"""Why a database cannot be used."""

from __future__ import annotations


class DatabaseError(Exception):
    """One clear line for people, that names the file and says what to do; nothing has been changed."""
