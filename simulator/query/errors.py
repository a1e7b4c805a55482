"""The two ways a query fails: before it is one (HTTP 400, plain text), and when it is carried out (a JSON error)."""

from __future__ import annotations

CLOUD_RUNTIME = "org.zstack.header.exception.CloudRuntimeException"
GRAMMAR = (
    "javax.persistence.PersistenceException: org.hibernate.exception.SQLGrammarException: could not extract ResultSet"
)


class QueryParameterError(Exception):
    """A parameter of the query string that cannot be read; the text is the body of a 400 (query-semantics 2)."""

    def __init__(self, text: str) -> None:
        super().__init__(f"Invalid query parameter. {text}")


class QueryError(Exception):
    """A query that names what is not there, or asks what cannot be asked (query-semantics 0, 4.6)."""

    def __init__(self, details: str, code: str = "SYS.1000") -> None:
        super().__init__(f"{code} {details}")
        self.code = code
        self.details = details


def cloud_runtime(text: str) -> QueryError:
    """What ZStack's own code objects to."""
    return QueryError(f"{CLOUD_RUNTIME}: {text}")
