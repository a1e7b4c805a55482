"""An HTTP server on aiohttp that follows RFC 9112 where aiohttp does not, with a timeout on everything a client does.

A client's mistake is answered or ends its connection. It is never logged as an error of this program.
"""

from imagestore_sim.web_server.addresses import authority, http_url
from imagestore_sim.web_server.answers import allowing, error_page, json_line, not_allowed, problem
from imagestore_sim.web_server.connections import ANSWER_SECONDS, AnswerAtOnce, Connection, connection_of
from imagestore_sim.web_server.content_codings import ACCEPTED
from imagestore_sim.web_server.late_routes import LateRoutes
from imagestore_sim.web_server.requests import BODY_SECONDS, Handle, NoRoomForBody, Request
from imagestore_sim.web_server.runner import Runner
from imagestore_sim.web_server.whole_response import WholeResponse, whole_answer

__all__ = [
    "ACCEPTED",
    "ANSWER_SECONDS",
    "BODY_SECONDS",
    "AnswerAtOnce",
    "Connection",
    "Handle",
    "LateRoutes",
    "NoRoomForBody",
    "Request",
    "Runner",
    "WholeResponse",
    "allowing",
    "authority",
    "connection_of",
    "error_page",
    "http_url",
    "json_line",
    "not_allowed",
    "problem",
    "whole_answer",
]
