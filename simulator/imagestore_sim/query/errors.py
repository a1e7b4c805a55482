"""The two ways a query fails: before it is one (HTTP 400, plain text), and when it is carried out (a JSON error)."""

from __future__ import annotations

CLOUD_RUNTIME = "org.zstack.header.exception.CloudRuntimeException"
ILLEGAL_ARGUMENT = "java.lang.IllegalArgumentException"
PERSISTENCE = "javax.persistence.PersistenceException"
OPERATION_FAILED = "SYS.1006"
INTERNAL = "SYS.1000"


class QueryParameterError(Exception):
    """A parameter of the query string that cannot be read; the text is the body of a 400 (query-semantics 2)."""

    def __init__(self, text: str) -> None:
        super().__init__(f"Invalid query parameter. {text}")


class QueryError(Exception):
    """A query that names what is not there, or asks what cannot be asked (query-semantics 0, 4.6).

    `thrown` is the Java class of what ZStack throws, which the details of a query API's error begin with; those of the
    query language as text have the message alone. An error that ZStack makes itself has a code and none thrown.
    """

    def __init__(self, message: str | None, code: str = INTERNAL, *, thrown: str | None = None) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.thrown = thrown

    @property
    def details(self) -> str:
        """The details in the error of a query API."""
        if self.thrown is None:
            return self.message or ""
        return self.thrown if self.message is None else f"{self.thrown}: {self.message}"


def cloud_runtime_error(text: str) -> QueryError:
    """What ZStack's own code objects to."""
    return QueryError(text, thrown=CLOUD_RUNTIME)


def extraction_error(cause: str) -> QueryError:
    """What the database objects to, by the name of Hibernate's exception."""
    return QueryError(f"org.hibernate.exception.{cause}: could not extract ResultSet", thrown=PERSISTENCE)


def sql_grammar_error() -> QueryError:
    """SQL that the database does not understand."""
    return extraction_error("SQLGrammarException")


def hibernate_error(text: str) -> QueryError:
    """What Hibernate objects to before it asks the database."""
    return QueryError(f"org.hibernate.{text}", thrown=ILLEGAL_ARGUMENT)
