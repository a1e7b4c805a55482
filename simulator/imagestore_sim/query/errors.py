"""The two errors of a query: invalid parameters (HTTP 400, plain text) and a failed execution (a JSON error)."""

from __future__ import annotations

CLOUD_RUNTIME = "org.zstack.header.exception.CloudRuntimeException"
ILLEGAL_ARGUMENT = "java.lang.IllegalArgumentException"
PERSISTENCE = "javax.persistence.PersistenceException"
OPERATION_FAILED = "SYS.1006"
INTERNAL = "SYS.1000"


class QueryParameterError(Exception):
    """An invalid parameter of the query string; the text is the body of a 400 (query-semantics 2)."""

    def __init__(self, text: str) -> None:
        super().__init__(f"Invalid query parameter. {text}")


class QueryError(Exception):
    """A query that names an unknown field, or that ZStack cannot run (query-semantics 0, 4.6).

    `thrown` is the Java class of the exception in ZStack; the details of a query API's error begin with it, those of
    `GET /zql` have the message alone. It is None for an error code that ZStack returns without an exception.
    """

    def __init__(self, message: str | None, code: str = INTERNAL, *, thrown: str | None = None) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.thrown = thrown

    @property
    def details(self) -> str:
        """Return the `details` of a query API's error."""
        if self.thrown is None:
            return self.message or ""
        return self.thrown if self.message is None else f"{self.thrown}: {self.message}"


def cloud_runtime_error(text: str) -> QueryError:
    """Return an error that ZStack's own code throws."""
    return QueryError(text, thrown=CLOUD_RUNTIME)


def extraction_error(cause: str) -> QueryError:
    """Return an error of the database; `cause` is the class of Hibernate's exception, without its package."""
    return QueryError(f"org.hibernate.exception.{cause}: could not extract ResultSet", thrown=PERSISTENCE)


def row_error(cause: str) -> QueryError:
    """Return an error about a row that the database returned; `cause` as in `extraction_error`."""
    return QueryError(f"org.hibernate.exception.{cause}: could not execute query", thrown=PERSISTENCE)


def sql_grammar_error() -> QueryError:
    """Return the error for SQL that the database cannot parse."""
    return extraction_error("SQLGrammarException")


def nesting_error(most: int) -> QueryError:
    """Return the error for queries that are nested deeper than the database allows."""
    text = "org.hibernate.exception.SQLGrammarException: could not extract ResultSet"
    return QueryError(f"{text}: queries may be nested {most} deep", thrown=PERSISTENCE)


def hibernate_error(text: str) -> QueryError:
    """Return an error that Hibernate throws before it calls the database."""
    return QueryError(f"org.hibernate.{text}", thrown=ILLEGAL_ARGUMENT)
