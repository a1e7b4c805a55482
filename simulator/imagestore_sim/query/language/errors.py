"""Syntax errors in ZStack's wording of ANTLR's: with the position, and the text around it."""

from __future__ import annotations

from imagestore_sim.query.errors import QueryError

PARSE_ERROR = "org.antlr.v4.runtime.misc.ParseCancellationException"
AROUND = 10


def syntax_error(text: str, at: int, message: str) -> QueryError:
    """Return the error for a mistake at a 0-based position in a text.

    It quotes the line from ten characters before the position to ten after it, without the last character of the line.
    """
    before = text[:at]
    line, column = before.count("\n"), at - (before.rfind("\n") + 1)
    line_text = text.split("\n")[line]
    end = len(line_text) - 1 if column + AROUND >= len(line_text) else column + AROUND
    begin = max(0, column - AROUND)
    if begin > end:  # an empty line, from which ZStack cuts one character
        return QueryError(
            f"begin {begin}, end {end}, length {len(line_text)}", thrown="java.lang.StringIndexOutOfBoundsException"
        )
    return QueryError(
        f"error {message} at line {line + 1}:{column}, {line_text[begin:end]}",
        thrown=PARSE_ERROR,
    )
