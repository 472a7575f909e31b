"""Which handler answers which operation: the tag names the module and the operationId the function."""

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NoReturn

from connexion.operations import AbstractOperation
from connexion.resolver import Resolution, Resolver
from pydantic.alias_generators import to_snake

from server.contract.document import ContractError, operations, resolved
from server.contract.parameters import argument_of
from server.pipeline import Handler


class HandlerResolver(Resolver):
    """Maps `listTasks` with the tag `Tasks` to `list_tasks` in the module that `modules` has for `tasks`.

    Raises `ContractError` at construction, naming the operation or the handler, unless every operation has a
    handler, every handler an operation, and the parameters of both are the same.
    """

    def __init__(self, document: Mapping[str, Any], modules: Mapping[str, ModuleType]) -> None:
        super().__init__()
        self._handlers: dict[str, Handler] = {}
        unused = {
            f"{tag}.{name}": function for tag, module in modules.items() for name, function in _handlers(module).items()
        }
        for path, method, operation in operations(document):
            operation_id = operation.get("operationId")
            if operation_id is None:
                _fail(f"{method.upper()} {path} has no operationId")
            if len(operation.get("tags", ())) != 1:
                _fail(f"{operation_id} must have exactly one tag")
            name = f"{operation['tags'][0].lower()}.{to_snake(operation_id)}"
            if name not in unused:
                _fail(f"the operation {operation_id} has no handler: handlers/{name.replace('.', '.py has no ')}")
            handler = unused.pop(name)
            _check_parameters(document, path, operation, name, handler)
            self._handlers[operation_id] = handler
        if unused:
            _fail(f"the handler {min(unused)} belongs to no operation of the contract")

    def resolve(self, operation: AbstractOperation) -> Resolution:
        """Connexion's question for one operation."""
        return Resolution(self._handlers[operation.operation_id], operation.operation_id)


def _handlers(module: ModuleType) -> dict[str, Handler]:
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.iscoroutinefunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }


def _check_parameters(
    document: Mapping[str, Any], path: str, operation: Mapping[str, Any], name: str, handler: Handler
) -> None:
    described = [resolved(document, item) for item in document["paths"][path].get("parameters", [])]
    described += [resolved(document, item) for item in operation.get("parameters", [])]
    expected = {argument for parameter in described if (argument := argument_of(parameter))}
    if "requestBody" in operation:
        expected.add("body")
    actual = set(inspect.signature(handler).parameters) - {"context"}
    if actual != expected:
        differing = ", ".join(sorted(actual ^ expected))
        _fail(
            f"the operation {operation['operationId']} and its handler {name} differ in their parameters: {differing}"
        )


def _fail(message: str) -> NoReturn:
    raise ContractError(message)
