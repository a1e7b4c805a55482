"""What to say of a name that is not known: the names that there are, and the one that may be meant."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like `name`; None if none is."""
    import difflib  # late: a start that succeeds has no use for it

    return next(iter(difflib.get_close_matches(name, list(known), 1)), None)


def meant(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean fault?)`, to be put behind the known names; nothing if none of them is like `name`."""
    near = nearest(name, known)
    return f" (did you mean {near}?)" if near else ""


def expected(name: str, known: Iterable[str]) -> str:
    """Return `expected fault, heal, ... (did you mean fault?)`, or that there are none."""
    names = list(known)
    return f"expected {', '.join(names)}{meant(name, names)}" if names else "there are none"


def unknown(name: str, known: Iterable[str]) -> str:
    """Return `is unknown; there are fault, heal, ... (did you mean fault?)`, to be put behind the name."""
    names = list(known)
    return f"is unknown; there are {', '.join(names)}{meant(name, names)}" if names else "is unknown"


def instead(name: str, known: Iterable[str]) -> str:
    """Return `did you mean fault?`; if no known name is like `name`, `expected fault, heal, ...`."""
    names = list(known)
    near = nearest(name, names)
    return f"did you mean {near}?" if near else f"expected {', '.join(names)}"
