"""Connexion's stages, each compiled once at start: routing, security, validation of both directions, dispatch.

Each stage is a middleware of Connexion with its own `api_cls`: Connexion reads the document and calls
`make_operation` once for every operation, and the results are all that runs for a request.
"""

from server.pipeline.dispatch import DispatchApi, Handler
from server.pipeline.request_validation import RequestValidationMiddleware
from server.pipeline.response_validation import ResponseValidationMiddleware
from server.pipeline.routing import RoutingMiddleware
from server.pipeline.security import SecurityMiddleware

__all__ = [
    "DispatchApi",
    "Handler",
    "RequestValidationMiddleware",
    "ResponseValidationMiddleware",
    "RoutingMiddleware",
    "SecurityMiddleware",
]
