"""The base of the stages: each turns an operation of the document into a callable at start."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from connexion.middleware.abstract import RoutedAPI
from connexion.operations import AbstractOperation

from server.request_context import RequestContext, Response

Operation = Callable[[RequestContext], Awaitable[Response]]
"""An operation of one stage. It calls the same operation of the next stage."""


class StageApi(RoutedAPI):
    """One stage's operations. Connexion makes those of the innermost stage first."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_paths()

    def next_operation(self, operation: AbstractOperation) -> Operation:
        """The operation of the next stage. Connexion would look it up at every request."""
        return find_operation(self.next_app, operation.operation_id)


def unique_parameters(operation: AbstractOperation) -> list[Mapping[str, Any]]:
    """Its parameters, each once. Connexion adds those of the path to the operation's own again for each stage."""
    return list({(parameter["name"], parameter["in"]): parameter for parameter in operation.parameters}.values())


def find_operation(stage: Any, operation_id: str) -> Operation:
    """The operation of this stage."""
    (api,) = stage.apis[""]
    operation: Operation = api.operations[operation_id]
    return operation
