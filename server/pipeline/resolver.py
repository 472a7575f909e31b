"""The mapping of operations to handlers: the tag names the module and the operationId the function."""

import inspect
import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final, NoReturn

from connexion.operations import AbstractOperation
from connexion.resolver import Resolution, Resolver
from pydantic.alias_generators import to_snake

from server.contract.document import ContractError, operations, resolved
from server.contract.parameters import argument_name
from server.pipeline import Handler


class HandlerResolver(Resolver):
    """Maps `listTasks` with the tag `Tasks` to the function `list_tasks` in `modules["Tasks"]`.

    `listMyTasks` has the same function: an operation for the user whom the token names does what the operation for the
    user in the path does. Raises `ContractError` at construction, naming the operation or the handler, unless every
    operation has a handler, every handler an operation, and the parameters of both are the same.
    """

    def __init__(self, document: Mapping[str, Any], modules: Mapping[str, ModuleType]) -> None:
        super().__init__()
        self._handlers: dict[str, Handler] = {}
        handlers = {
            f"{_short_name(module)}.{name}": function
            for module in modules.values()
            for name, function in _handlers(module).items()
        }
        unused = set(handlers)
        for path, method, operation in operations(document):
            operation_id = operation.get("operationId")
            if operation_id is None:
                _fail(f"{method.upper()} {path} has no operationId")
            if operation_id in self._handlers:
                _fail(f"two operations have the operationId {operation_id}")
            name = _handler_name(operation, modules)
            if name not in handlers:
                _fail(f"the operation {operation_id} has no handler: handlers/{name.replace('.', '.py has no ')}")
            unused.discard(name)
            _check_parameters(document, path, operation, name, handlers[name])
            self._handlers[operation_id] = handlers[name]
        if unused:
            _fail(f"the handler {min(unused)} belongs to no operation of the contract")

    def resolve(self, operation: AbstractOperation) -> Resolution:
        """Return the handler of an operation. Called by Connexion."""
        return Resolution(self._handlers[operation.operation_id], operation.operation_id)


def _handler_name(operation: Mapping[str, Any], modules: Mapping[str, ModuleType]) -> str:
    operation_id, tags = operation["operationId"], operation.get("tags", ())
    if len(tags) != 1:
        _fail(f"{operation_id} must have exactly one tag")
    if tags[0] not in modules:
        _fail(f"the tag {tags[0]} of the operation {operation_id} has no module")
    return f"{_short_name(modules[tags[0]])}.{to_snake(_MY.sub('', operation_id))}"


_MY: Final = re.compile("(?<=[a-z])My(?=[A-Z])")


def _short_name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


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
    expected = {argument for parameter in described if (argument := argument_name(parameter))}
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
