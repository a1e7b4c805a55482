"""What a text is parsed into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from imagestore_sim.query.language.tokens import Token


@dataclass(slots=True)
class Tree:
    """A parsed rule with its parts in order."""

    rule: str
    parts: list[Tree | Token] = field(default_factory=list)

    def first(self, rule: str) -> Tree | None:
        """Return the first part that is of a rule, or None."""
        return next(self.all(rule), None)

    def all(self, rule: str) -> Iterator[Tree]:
        """Return the parts that are of a rule."""
        return (part for part in self.parts if isinstance(part, Tree) and part.rule == rule)

    def tokens(self, kind: int) -> list[str]:
        """Return the texts of the tokens of a kind among the parts."""
        return [part.text for part in self.parts if isinstance(part, Token) and part.kind == kind]

    def text(self) -> str:
        """Return the text of all tokens, without blanks between them."""
        found: list[str] = []
        left: list[Tree | Token] = [self]
        while left:  # iterative: a tree may be as deep as the text has tokens
            part = left.pop()
            if isinstance(part, Token):
                found.append(part.text)
            else:
                left += reversed(part.parts)
        return "".join(found)
