"""What the stages have in common: each turns an operation of the document into something to be called."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from connexion.middleware.abstract import RoutedAPI
from connexion.operations import AbstractOperation

from server.request_context import RequestContext, Response

Operation = Callable[[RequestContext], Awaitable[Response]]
"""An operation as one stage has made it, which calls what the next stage made of the same operation."""


class StageApi(RoutedAPI):
    """One stage's operations. Connexion makes those of the innermost stage first."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_paths()

    def next_operation(self, operation: AbstractOperation) -> Operation:
        """What the next stage made of it. Connexion would look that up at every request."""
        return find_operation(self.next_app, operation.operation_id)


def unique_parameters(operation: AbstractOperation) -> list[Mapping[str, Any]]:
    """Its parameters, each once. Connexion adds those of the path to the operation's own again for each stage."""
    return list({(parameter["name"], parameter["in"]): parameter for parameter in operation.parameters}.values())


def find_operation(stage: Any, operation_id: str) -> Operation:
    """What this stage made of an operation."""
    (api,) = stage.apis[""]
    operation: Operation = api.operations[operation_id]
    return operation
