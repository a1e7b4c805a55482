"""Decide by its policies what a user of an account may call (observed 21; ZStack's RBACAPIRequestChecker)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from imagestore_sim.api.path_patterns import matches_path
from imagestore_sim.identity.accounts import DEFAULT_POLICY
from imagestore_sim.identity.members import UserPolicy
from imagestore_sim.rest.binding import Values
from imagestore_sim.rest.errors import internal_error, operation_failed
from imagestore_sim.rest.parameters import Api

ALLOW, DENY = "Allow", "Deny"
Statement = Mapping[str, object]


def check_user(policies: Sequence[UserPolicy], api: Api, values: Values, user: str) -> None:
    """Raise ApiError SYS.1006 for a call that a policy denies, or that none allows."""
    for policy, statement in _statements(policies, DENY, user):
        for action in _texts(statement, "actions"):
            _check_denied(policy, action, api, values)
    reads = api.sync and any(one.name == DEFAULT_POLICY for one in policies)
    if not reads and not any(_allows(statement, api) for _, statement in _statements(policies, ALLOW, user)):
        text = f"operation[API:{api.java_class}] is denied by default, please contact admin to correct it"
        raise operation_failed(text)


def _statements(policies: Iterable[UserPolicy], effect: str, user: str) -> Iterator[tuple[UserPolicy, Statement]]:
    """Yield the statements of an effect that are about the user."""
    for policy in policies:
        for statement in policy.statements:
            if statement.get("effect") == effect and _is_about(statement, user):
                yield policy, statement


def _is_about(statement: Statement, user: str) -> bool:
    """Return whether a statement names the user, or nobody: then it is about all. Raise ApiError SYS.1000."""
    principals = _texts(statement, "principals")
    for one in principals:
        kind, _, pattern = one.partition(":")
        if kind != "user":
            raise internal_error(f"unknown principal[{kind}]")
        if _matches(pattern, user):
            return True
    return not principals


def _check_denied(policy: UserPolicy, action: str, api: Api, values: Values) -> None:
    """Raise ApiError SYS.1006 if an action denies the API, or `API:field,…` a field that the call sets."""
    name, colon, fields = action.partition(":")
    if not _matches(name, api.java_class):
        return
    by = f"the operation is denied by the policy[name:{policy.name}"
    if not colon:
        raise operation_failed(f"{by} uuid:{policy.uuid}]")
    for field in fields.split(","):
        if values.get(field) is not None:
            raise operation_failed(f"{by}, uuid:{policy.uuid}], field[{field}] is not permitted to set")


def _allows(statement: Statement, api: Api) -> bool:
    """Return whether an action is the API, or `category:API` as older versions wrote it."""
    actions = (one.split(":") for one in _texts(statement, "actions"))
    return any(_matches(parts[1] if len(parts) == 2 else parts[0], api.java_class) for parts in actions)


def _matches(pattern: str, name: str) -> bool:
    """Return whether a pattern of Ant, with dots in place of slashes, matches a name or is its end."""
    path = name.replace(".", "/")
    slashed = pattern.replace(".", "/")
    return path.endswith(slashed) or matches_path(slashed, path)


def _texts(statement: Statement, member: str) -> list[str]:
    given = statement.get(member)
    return [str(one) for one in given] if isinstance(given, list) else []
