"""Mask secrets in texts, paths and JSON that are logged, recorded or printed.

Where it is not clear whether a text is a secret, it is masked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from urllib.parse import quote, unquote, unquote_plus

MASK = "***"
_PATTERNS = (
    "password", "passwd", "passphrase", "passcode", "pwd", "secret", "token", "private[^a-z0-9]?key", "authorization",
    "api[^a-z0-9]?key", "credential", "session", "signature", "cookie", "verify[^a-z0-9]?code",
)  # fmt: skip
_WORDS = "|".join(_PATTERNS)
_SECRET_WORD = re.compile(rf"{_WORDS}|^\W*(?:pass|pw)\W*$", re.IGNORECASE)
_COMPARED = r"::|[!?~<>]?=|[<>:]|\s(?:not\s+)?(?:like|in)\b"
_MAY_BE_SECRET = re.compile(rf"{_WORDS}|pass|pw|@", re.IGNORECASE)
"""What a decoded path has in it if any part of it is masked."""
_HINTS = tuple(dict.fromkeys(("pass", "pw", "@", *(word.partition("[")[0] for word in _PATTERNS))))
"""What an ASCII path in lower case has in it if _MAY_BE_SECRET finds something, and looking for that takes longer."""
_ESCAPE = re.compile("%[0-9a-fA-F]{2}")
# Repetitions are bounded, so that matching takes linear time.
_SECRET_IN_TEXT = re.compile(
    rf"((?:{_WORDS})[\w.\[\]-]{{0,64}}[\"'\\\s]{{0,16}}(?:{_COMPARED})).*", re.IGNORECASE | re.DOTALL
)
_USERINFO = re.compile(r"//[^/?#\s]*@|//[^/?#\s@]{0,64}:(?![0-9]+(?:[/?#\s]|$))\S{0,256}@")
_CUT_USERINFO = re.compile(r"//[^/?#\s@]*$")
_LONGEST_NAME = 256
_AFTER_SESSIONS = ("renew", "valid")
_NAMES = ("name", "key", "field")
"""Members that name what the member `value` of the same object holds."""
_SEPARATORS = re.compile(r"(/|;|\?|%(?:25)*(?:2f|3b|3f))", re.IGNORECASE)
_MOST_LAYERS = 4
_LONGEST_TEXT = 16_384
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {0x2028: "\\u2028", 0x2029: "\\u2029"}
_CONTROL |= {9: "\\t", 10: "\\n", 13: "\\r"}
# Half a surrogate pair cannot be encoded: a handler that writes UTF-8 would fail on it.
_CONTROL |= {code: f"\\u{code:04x}" for code in range(0xD800, 0xE000)}


def is_secret_name(name: str) -> bool:
    """Return whether a field, parameter or header of that name holds a secret."""
    return len(name) > _LONGEST_NAME or _SECRET_WORD.search(name) is not None


def without_userinfo(text: str) -> str:
    """Return the text with user and password masked in each URL: `http://***@host`."""
    return _USERINFO.sub(rf"//{MASK}@", text) if "@" in text and "//" in text else text


def masked_text(text: str) -> str:
    """Return the text with user and password masked in each URL, and all text after the name of a secret."""
    whole = text[:_LONGEST_TEXT]
    shown = _SECRET_IN_TEXT.sub(rf"\1{MASK}", without_userinfo(whole))
    return shown if len(text) <= _LONGEST_TEXT else _CUT_USERINFO.sub(f"//{MASK}", shown)


def on_one_line(text: str) -> str:
    """Return the text with control characters and lone surrogates escaped, so that it fits one line of any file."""
    return text if text.isprintable() else text.translate(_CONTROL)


# Paths and query strings


@lru_cache(maxsize=1024)
def masked_path(target: str) -> str:
    """Return a path with its query string as sent, with sessions and secret values masked."""
    if len(target) <= _LONGEST_NAME and not _may_be_secret(_decoded(target, plus=True)):
        return target
    path, mark, query = target.partition("?")
    return f"{_masked_segments(path)}{mark}{'&'.join(map(_masked_pair, query.split('&')))}"


def _may_be_secret(decoded: str) -> bool:
    lowered = decoded.lower()
    if decoded.isascii() and not any(map(lowered.__contains__, _HINTS)):
        return False
    return _MAY_BE_SECRET.search(decoded) is not None


def _masked_segments(path: str) -> str:
    """Mask segments after `sessions`, and secret `name=value` pairs, under any percent-encoding."""
    shown, after_sessions = [], False
    for number, part in enumerate(_SEPARATORS.split(path)):
        decoded = _decoded(part).strip()
        if number % 2 or not decoded:  # a separator, or nothing between two of them
            shown.append(part)
            continue
        hide = after_sessions and decoded.lower() not in _AFTER_SESSIONS
        shown.append(MASK if hide else _masked_encoded(part, decoded))
        after_sessions = after_sessions or decoded.lower() == "sessions"
    return without_userinfo("".join(shown))


def _masked_pair(pair: str) -> str:
    name, mark, value = pair.partition("=")
    if is_secret_name(_decoded(name, plus=True)) and mark:
        return f"{name}={MASK}"
    decoded = _decoded(value, plus=True)
    return f"{_masked_encoded(name, _decoded(name, plus=True))}{mark}{_masked_encoded(value, decoded)}"


def _masked_encoded(raw: str, decoded: str) -> str:
    """Return `raw` as sent, or the masked text encoded again if there is a secret in it."""
    shown = masked_text(decoded)
    return raw if shown == decoded else quote(shown, safe="*")


def _decoded(text: str, *, plus: bool = False) -> str:
    """Return the text without percent-encoding, of which up to _MOST_LAYERS layers are removed."""
    for _ in range(_MOST_LAYERS):
        if not (plus and "+" in text) and not ("%" in text and _ESCAPE.search(text)):
            break
        text = unquote_plus(text) if plus else unquote(text)
    return text


# Bodies


def masked_json(value: object, most: int) -> str:
    """Return the JSON of a value with its secrets masked, cut after `most` bytes; the rest is not read."""
    pieces: list[str] = []
    left = most
    for piece in _pieces(value):
        pieces.append(piece)
        left -= len(piece)
        if left < 0:
            break
    return "".join(pieces).encode(errors="replace")[:most].decode(errors="ignore")


def _pieces(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _members(value)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from _elements(value)
    else:
        yield _text(masked_text(value) if isinstance(value, str) else value)


def _members(value: Mapping[str, object]) -> Iterator[str]:
    names_secret = any(_says_secret(value.get(name)) for name in _NAMES)
    yield "{"
    for number, (name, member) in enumerate(value.items()):
        hide = is_secret_name(name) or (names_secret and name.lower().startswith("value"))
        yield f"{',' if number else ''}{_text(masked_text(name))}:"
        yield from _pieces(MASK if hide and member is not None else member)
    yield "}"


def _elements(value: Sequence[object]) -> Iterator[str]:
    is_secret_pair = len(value) == 2 and _says_secret(value[0])  # Gson takes a list of pairs for an object
    yield "["
    for number, element in enumerate(chain(value[:1], [MASK]) if is_secret_pair else value):
        if number:
            yield ","
        yield from _pieces(element)
    yield "]"


def _says_secret(value: object) -> bool:
    return isinstance(value, str) and is_secret_name(value)


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
