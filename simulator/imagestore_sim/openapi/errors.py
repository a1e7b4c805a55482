"""The errors of a call: ZStack's error object with its codes, and plain texts for requests that reach no API."""

from __future__ import annotations

from imagestore_sim.openapi.schemas import Json, Schemas, reference_to
from imagestore_sim.rest.errors import DESCRIPTIONS
from imagestore_sim.rest.parameters import Api

RESPONSES = "#/components/responses/"
TEXT_OR_PAGE = {"text/plain": {"schema": {"type": "string"}}, "text/html": {"schema": {"type": "string"}}}
"""ZStack's own refusals are plain text, those of its servlet container pages, such as of `%2F` in a path."""
TEXTS: dict[str, str] = {
    "400": "The request cannot be read: a header, a parameter or the body is not as it must be.",
    "403": "The access key is not valid, or the request comes from a page of another origin.",
    "404": "There is no such path.",
    "405": "The method does not fit the path.",
    "413": "The body is too large.",
    "500": "A parameter has another type than it must have, or the body is not JSON.",
}
ERROR: Json = {
    "type": "object",
    "description": "An error. `code` is what programs look at, `details` what people read.",
    "required": ["code", "description"],
    "properties": {
        "code": {"type": "string", "description": "The kind of error; `x-codes` has all of them."},
        "description": {"type": "string", "description": "What the code means."},
        "details": {"type": "string", "description": "What went wrong here."},
        "elaboration": {"type": "string", "description": "An explanation for people, where ZStack has one."},
        "location": {"type": "string", "description": "The step of ZStack that failed."},
        "messages": {
            "type": "object",
            "description": "The explanation in two languages.",
            "properties": {
                "code": {"type": "string"},
                "message_cn": {"type": "string"},
                "message_en": {"type": "string"},
                "source": {"type": "string"},
                "distance": {"type": "number"},
                "method": {"type": "string"},
            },
        },
        "cause": {**reference_to("ErrorCode"), "description": "The error that caused this one."},
        "cost": {"type": "string", "description": "How long ZStack looked for an explanation."},
        "opaque": {"type": "object", "description": "More about the error, by name."},
        "globalErrorCode": {"type": "string", "description": "A finer code, which newer versions have."},
    },
    "x-codes": dict(DESCRIPTIONS),
}
ANSWER: Json = {
    "type": "object",
    "description": "The answer to a call that failed, and the result of a job that failed.",
    "required": ["error"],
    "properties": {"error": reference_to("ErrorCode")},
}


def add_errors(schemas: Schemas) -> None:
    """Add the schemas of errors."""
    schemas.add("ErrorCode", ERROR)
    schemas.add("ErrorAnswer", ANSWER)


def error_responses() -> Json:
    """Return the responses that many operations have alike, by the name of their component."""
    return {f"Error{status}": {"description": text, "content": TEXT_OR_PAGE} for status, text in TEXTS.items()}


def errors_of(api: Api, examples: Json) -> Json:
    """Return the responses of a call that did not succeed, by status."""
    statuses = ["400", "404", "405", "413", "500", *(["403"] if api.authenticated else ())]
    shared = {status: {"$ref": f"{RESPONSES}Error{status}"} for status in sorted(statuses)}
    return {**shared, "503": failure(api, examples)}


def failure(api: Api, examples: Json) -> Json:
    """Return the response to a call that failed: the ordinary error of ZStack."""
    content: Json = {"schema": reference_to("ErrorAnswer")}
    if examples:
        content["examples"] = examples
    codes = ", ".join(f"`{code}`" for code in codes_of(api))
    when = "The call failed" if api.sync else "The call failed before its job began"
    return {"description": f"{when}. Codes: {codes}.", "content": {"application/json": content}}


def codes_of(api: Api) -> list[str]:
    """Return the codes of errors that the declaration of an API implies; its handler may know others."""
    codes = ["SYS.1000", "SYS.1006", "SYS.1007"]
    if any(one.rule.resource for one in api.parameters):
        codes.append("SYS.1003")
    if api.authenticated:
        codes.append("ID.1001")
    if api.admin_only:
        codes.append("ID.1002")
    return sorted(codes)
