"""The legacy API: whole messages by their Java class, as the official zstack-cli sends them (wire-protocol 8).

    POST /zstack/api                {"org.zstack…APIQueryZoneMsg": {…, "session": {"uuid": "…"}}}
    GET  /zstack/api/result/{uuid}

The messages are those of the REST API, and are carried out in the same way. The status is 200 unless ZStack itself
fails; a result is JSON within a string, without the members that ZStack's classes hide (@APINoSee).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property, lru_cache, partial
from typing import Generic, TypeVar

from imagestore_sim.clock import Clock
from imagestore_sim.ids import new_uuid
from imagestore_sim.rest import gson
from imagestore_sim.rest.binding import Values
from imagestore_sim.rest.dispatch import Dispatcher
from imagestore_sim.rest.encoding import to_plain_json, work_of
from imagestore_sim.rest.errors import ApiError, ContainerError, PlainError, internal_error
from imagestore_sim.rest.identity import Claim, NoClaim
from imagestore_sim.rest.job_starter import JobOrder, JobStarter
from imagestore_sim.rest.job_store import JobResult, JobState
from imagestore_sim.rest.jobs import ANSWER_CLASS, NO_OWN_CLASS, POLLS, Jobs, failed
from imagestore_sim.rest.messages import Declared, Handlers, LateMessage, Message, made
from imagestore_sim.rest.parameters import Api
from imagestore_sim.rest.request_context import RequestContext
from imagestore_sim.rest.request_target import CONTEXT
from imagestore_sim.tasks import by_size
from imagestore_sim.units import write_date

S = TypeVar("S")
PATH = "/api"
RESULT = f"{PATH}/result/"
REPLY, EVENT = "org.zstack.header.message.APIReply", "org.zstack.header.message.APIEvent"
HIDDEN_EVERYWHERE = ("noSessionEvaluation",)
HIDDEN: Mapping[str, tuple[str, ...]] = {
    "error": ("messages",),
    "cause": ("messages",),
    "causes": ("messages",),
    "backupStorageRefs": ("id",),
}
"""The members that ZStack marks with @APINoSee, by the member that holds them."""
ByName = Mapping[str, Declared]
Read = Callable[[], Awaitable[bytes]]


class LegacyApi(Generic[S]):
    """Answers the legacy API."""

    def __init__(
        self, handlers: Handlers[S], dispatcher: Dispatcher[S], starter: JobStarter[S], jobs: Jobs, clock: Clock
    ) -> None:
        self._handlers = handlers
        self._dispatcher = dispatcher
        self._starter = starter
        self._jobs = jobs
        self._clock = clock

    @cached_property
    def _messages(self) -> tuple[ByName, ByName]:
        return _indexes(self._handlers.declared())

    async def answer(self, method: str, path: str, read: Read, context: RequestContext) -> bytes | None:
        """Return the body of the answer to a path below the context, or None for a path that is not of this API.

        Raise ContainerError where ZStack itself fails.
        """
        path = path.removesuffix("/")
        if path == PATH:
            _require(method, "POST", "PUT")
            return await self._call(await read(), context)
        if path.startswith(RESULT) and "/" not in path.removeprefix(RESULT):
            _require(method, "GET", "PUT")
            context.api = POLLS
            context.job = path.removeprefix(RESULT)
            if context.faults is not None:
                await context.faults.reached()
            return await self._result(path.removeprefix(RESULT), context)
        return None

    async def _call(self, body: bytes, context: RequestContext) -> bytes:
        context.body = body
        try:
            given = await by_size(len(body), _parse, body)
            if isinstance(given, Mapping):
                context.body = given
            message, fields = self._message(given)
            context.api = message.__name__
            values = await by_size(len(body), message.bind_fields, fields)
        except PlainError as error:
            return error.text.encode()  # ZStack answers the text of the exception
        except ApiError as failure:
            return self._failed(message.api, failure)
        claim = _session(fields)
        context.account = await self._dispatcher.account_of(claim)
        context.session = claim if isinstance(claim, str) else None
        if context.faults is not None:
            values = await context.faults.reached(message, values, partial(self._failed, message.api))
        if message.api.sync:
            return await self._answer_now(message, values, claim)
        return await self._answer_later(message, values, claim, context)

    def _message(self, given: object) -> tuple[type[Message], Mapping[str, object]]:
        """Return the message that a body names, and its fields. Raise PlainError; ContainerError where ZStack fails.

        A message whose package is not known here is found by its name alone.
        """
        if given is None or given == {}:
            raise ContainerError(500, f"Error when calling /{CONTEXT}{PATH}")
        if not isinstance(given, Mapping):
            raise PlainError(
                200, f"java.lang.IllegalStateException: Not a JSON Object: {gson.write(given, nulls=True)}"
            )
        java_class, fields = next(iter(given.items()))
        by_class, _ = self._messages
        message = by_class.get(java_class) or by_class.get(java_class.rpartition(".")[2])
        if message is None:
            raise PlainError(200, f"Unable to deserialize class {java_class}")
        if fields is None:
            raise ContainerError(500, f"Error when calling /{CONTEXT}{PATH}")
        if not isinstance(fields, Mapping):
            text = f"Expected BEGIN_OBJECT but was {gson.token(fields)} at path $"
            raise PlainError(200, f"java.lang.IllegalStateException: {text}")
        return made(message), fields

    async def _answer_now(self, message: type[Message], values: Values, claim: Claim) -> bytes:
        began = self._clock.time()
        try:
            result = JobResult(True, await self._dispatcher.carry_out(message, values, new_uuid("request"), claim))
        except ApiError as failure:
            result = failed(failure)
        except PlainError as error:
            result = failed(internal_error(error.text))
        return await by_size(work_of(result.reply.body), self._done, message.api, began, result)

    def _failed(self, api: Api, failure: ApiError) -> bytes:
        return self._done(api, self._clock.time(), failed(failure))

    def _done(self, api: Api, began: float, result: JobResult) -> bytes:
        members = self._dates(began, self._clock.time()) | {"result": _result(api, result)}
        return to_plain_json({"state": JobState.DONE, **members})

    async def _answer_later(
        self, message: type[Message], values: Values, claim: Claim, context: RequestContext
    ) -> bytes:
        job = context.job = new_uuid("job")
        order = JobOrder(uuid=job, message=message, values=values, claim=claim, faulted=context.faulted_job)
        began = await self._starter.start(order)
        return to_plain_json({"uuid": job, "state": JobState.PROCESSING, **self._dates(began)})

    async def _result(self, job_uuid: str, context: RequestContext) -> bytes:
        job = await self._jobs.find_for_poll(job_uuid, context.connection)
        _, by_name = self._messages
        message = None if job is None else by_name.get(job.message)
        if job is None or message is None:
            raise ContainerError(404, f"No api result[uuid:{job_uuid}] found")
        if job.state == JobState.PROCESSING:
            return to_plain_json({"uuid": job_uuid, "state": job.state, **self._dates(job.began)})
        members = self._dates(job.began, job.ended) | {"result": _result(made(message).api, job.result)}
        return to_plain_json({"uuid": job_uuid, "state": JobState.DONE, **members})

    def _dates(self, began: float, finished: float | None = None) -> dict[str, object]:
        dates: dict[str, object] = {"createdDate": write_date(self._clock.local(began))}
        if finished is not None:
            dates["finishedDate"] = write_date(self._clock.local(finished))
        return dates


@lru_cache(maxsize=8)
def _indexes(messages: tuple[Declared, ...]) -> tuple[ByName, ByName]:
    """Return messages by their Java class, and by their name. It is done once in a process, as none changes."""
    by_class: dict[str, Declared] = {}
    by_name: dict[str, Declared] = {}
    for one in messages:
        if isinstance(one, LateMessage):
            by_class[one.java_class] = by_name[one.name] = one
        else:
            by_class[one.api.java_class] = by_name[one.__name__] = one
    return by_class, by_name


def _require(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise ContainerError(405, f"Request method '{method}' not supported", allow=", ".join(allowed))


def _parse(body: bytes) -> object:
    """Return the JSON value of a body. Raise PlainError with Gson's words."""
    try:
        return gson.read_element(body.decode("utf-8", "replace"))
    except gson.NotReadable as error:
        raise PlainError(200, str(error)) from None


def _session(fields: Mapping[str, object]) -> Claim:
    session = fields.get("session")
    if not isinstance(session, Mapping):
        return NoClaim.NO_SESSION
    session_uuid = session.get("uuid")
    return session_uuid if isinstance(session_uuid, str) else NoClaim.NO_UUID


def _result(api: Api, result: JobResult) -> str:
    """Return the reply or event as JSON of ZStack's class: its own members, then `success` and `error`."""
    body = dict(result.reply.body)
    error = body.pop("error", None)
    own = {api.reply_fields.get(name, name): value for name, value in body.items() if name != "success"}
    members = {**own, "success": result.success}
    if error is not None:
        members["error"] = error
    name = api.response_class
    if result.reply.schema.get(ANSWER_CLASS) == NO_OWN_CLASS:
        name = REPLY if api.sync else EVENT
    return to_plain_json({name: _without_hidden(members)}).decode()


def _without_hidden(value: object, within: str = "") -> object:
    """Return a value without the members that ZStack hides from this API; `within` names the member that holds it."""
    if isinstance(value, Mapping):
        hidden = HIDDEN.get(within, ())
        return {
            name: _without_hidden(one, name)
            for name, one in value.items()
            if name not in hidden and name not in HIDDEN_EVERYWHERE
        }
    return [_without_hidden(one, within) for one in value] if isinstance(value, list) else value
