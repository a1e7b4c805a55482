"""Replies, errors and claims as other management nodes read them: JSON, from which the same objects are made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Dialect, Executable, text
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from imagestore_sim.rest.errors import ApiError, ErrorCode, Explanation, PlainError
from imagestore_sim.rest.identity import Claim, Identity, NoClaim
from imagestore_sim.rest.messages import Reply

Json = dict[str, Any]


def write_reply(reply: Reply, dialect: Dialect) -> Json:
    """Return a reply as JSON. Its statements become SQL of the dialect, which all nodes of a store share."""
    return {
        "body": dict(reply.body),
        "schema": dict(reply.schema),
        "commit": [_write_statement(one, dialect) for one in reply.commit],
        "batch": reply.batch,
        "secret": reply.secret,
    }


def read_reply(json: Mapping[str, Any]) -> Reply:
    """Return the reply that `write_reply` has written."""
    batch = json["batch"]
    return Reply(
        json["body"],
        json["schema"],
        commit=tuple(text(sql).bindparams(**values) for sql, values in json["commit"]),
        batch=None if batch is None else (batch[0], batch[1]),
        secret=json["secret"],
    )


def _write_statement(statement: Executable, dialect: Dialect) -> tuple[str, Json]:
    """Return a statement as SQL with named parameters, and their values as the driver takes them."""
    assert isinstance(statement, UpdateBase), "handlers make statements; those of other nodes are not passed on"
    with_names: Any = type(dialect)
    compiled = statement.compile(dialect=with_names(paramstyle="named"))
    values = {}
    defaults = {column.key: column.default for column in compiled.insert_prefetch}
    for name, given in compiled.params.items():
        default = defaults.get(name)  # of a column that the statement does not name: a row that is executed gets it
        value = default.arg if given is None and isinstance(default, ScalarElementColumnDefault) else given
        process = compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)
        values[name] = value if process is None else process(value)
    return str(compiled), values


def write_failure(failure: ApiError | PlainError) -> Json:
    """Return an error as JSON."""
    if isinstance(failure, PlainError):
        return {"status": failure.status, "text": failure.text}
    return write_error(failure)


def read_failure(json: Mapping[str, Any]) -> ApiError | PlainError:
    """Return the error that `write_failure` has written."""
    if "status" in json:
        return PlainError(json["status"], json["text"])
    return read_error(json)


def write_error(failure: ApiError) -> Json:
    """Return an error of ZStack as JSON."""
    return {"error": asdict(failure.error)}


def read_error(json: Mapping[str, Any]) -> ApiError:
    """Return the error that `write_error` has written."""
    return ApiError(_error_code(json["error"]))


def _error_code(members: Mapping[str, Any]) -> ErrorCode:
    cause, explanation = members["cause"], members["explanation"]
    return ErrorCode(
        **{
            **members,
            "cause": None if cause is None else _error_code(cause),
            "explanation": None if explanation is None else Explanation(**explanation),
        }
    )


def write_claim(claim: Claim) -> Json | None:
    """Return a claim as JSON."""
    if isinstance(claim, Identity):
        return {"account": claim.account_uuid, "user": claim.user_uuid}
    if isinstance(claim, NoClaim):
        return {"none": claim.name}
    return None if claim is None else {"session": claim}


def read_claim(json: Mapping[str, str] | None) -> Claim:
    """Return the claim that `write_claim` has written."""
    if json is None:
        return None
    if "account" in json:
        return Identity(json["account"], json["user"])
    return NoClaim[json["none"]] if "none" in json else json["session"]
