"""What a change of the document breaks for clients: operations, parameters, bodies, responses, headers and names."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from docs.breaking.schemas import Direction, Node, schema_breaks
from server.contract.document import METHODS

_STYLES: Final = {"query": "form", "cookie": "form"}
"""The style of a parameter that has none. Elsewhere it is `simple` (OpenAPI 3.0.3, section 4.7.12)."""
_LIMITS: Final = ("x-max-bytes", "x-max-field-bytes")


def document_breaks(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return a sentence for each break, with the operations that it concerns; none for one of the whole document."""
    breaks: defaultdict[str, list[str]] = defaultdict(list)
    for sentence in (*_servers(before, after), *_names(before, after), *_limits(before, after, "the document")):
        breaks[sentence] = []
    operations = dict(_operations(after))
    for (path, method), old in _operations(before):
        name = f"{method.upper()} {path}"
        if (path, method) not in operations:
            breaks[f"{name} is gone"] = []
            continue
        for sentence in operation_breaks(old, operations[path, method]):
            if name not in breaks[sentence]:
                breaks[sentence].append(name)
    return dict(breaks)


def operation_breaks(before: Node, after: Node) -> Iterator[str]:
    """Yield a sentence for each break of one operation, which has the parameters of its path."""
    old, new = before.value, after.value
    if old.get("operationId") != new.get("operationId"):
        yield f"the operationId is {new.get('operationId')}, was {old.get('operationId')}: generated code is renamed"
    tag, was = (operation.get("tags", [None])[0] for operation in (new, old))
    if tag != was:
        yield f"the tag is {tag}, was {was}: generated code is renamed"
    yield from _security(before, after)
    yield from _parameters(before, after)
    yield from _body(before, after)
    yield from _responses(before, after)


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Node]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                shared = item.get("parameters", [])
                operation = item[method] | {"parameters": [*shared, *item[method].get("parameters", [])]}
                yield (path, method), Node(document, operation, "")


def _servers(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = ([server["url"] for server in document.get("servers", [{"url": "/"}])] for document in (before, after))
    yield from (f"the server {url} is gone" for url in old if url not in new)


def _names(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = (document.get("components", {}).get("schemas", {}) for document in (before, after))
    yield from (
        f"the schema {name} is gone: generated types have other names" for name in sorted(old.keys() - new.keys())
    )
    old, new = (document.get("components", {}).get("securitySchemes", {}) for document in (before, after))
    for name, scheme in old.items():
        for member in ("type", "scheme", "in", "name"):
            if scheme.get(member) != new.get(name, {}).get(member):
                yield f"the security scheme {name} has another {member}"


def _limits(before: Mapping[str, Any], after: Mapping[str, Any], where: str) -> Iterator[str]:
    for limit in _LIMITS:
        old, new = (_by_name(document.get(limit, {})) for document in (before, after))
        for name in new:
            if old.get(name, float("inf")) > new[name]:
                yield f"{where}: {' '.join((limit, *name))} is {new[name]}, was {old.get(name, 'none')}"


def _by_name(limits: int | Mapping[str, int]) -> Mapping[tuple[str, ...], int]:
    return {(): limits} if isinstance(limits, int) else {(name,): limit for name, limit in limits.items()}


def _security(before: Node, after: Node) -> Iterator[str]:
    """Yield a break if a way to authenticate does not do any more. None is one: the operation was public."""
    old, new = (node.value.get("security", node.document.get("security", [{}])) or [{}] for node in (before, after))
    for requirement in old:
        if not any(_is_within(other, requirement) for other in new):
            yield f"{' and '.join(requirement) or 'no security scheme'} is no longer enough"


def _is_within(requirement: Mapping[str, list[str]], given: Mapping[str, list[str]]) -> bool:
    """Whether what is given, schemes with their scopes, satisfies a requirement."""
    return all(name in given and {*scopes} <= {*given[name]} for name, scopes in requirement.items())


def _parameters(before: Node, after: Node) -> Iterator[str]:
    old, new = _by_place(before), _by_place(after)
    for place, parameter in new.items():
        required = parameter.value.get("required", False)
        if required and not (place in old and old[place].value.get("required", False)):
            yield f"the parameter {place} is required"
    for place, parameter in old.items():
        if place not in new:
            yield f"the parameter {place} is gone"
            continue
        if _style(parameter.value) != _style(new[place].value):
            yield f"the parameter {place} has another style"
        yield from _schema(parameter, new[place], f"the parameter {place}", Direction.REQUEST)


def _style(parameter: Mapping[str, Any]) -> tuple[str, bool, bool]:
    style = parameter.get("style", _STYLES.get(parameter["in"], "simple"))
    return style, parameter.get("explode", style == "form"), parameter.get("allowReserved", False)


def _by_place(operation: Node) -> dict[str, Node]:
    nodes = [operation.below(parameter, "") for parameter in operation.value["parameters"]]
    return {f"{node.value['name']} of {node.value['in']}": node for node in nodes}


def _body(before: Node, after: Node) -> Iterator[str]:
    old, new = (node.below(node.value.get("requestBody", {}), "the body") for node in (before, after))
    if new.value.get("required", False) and not old.value.get("required", False):
        yield "the body is required"
    if old.value and not new.value:
        yield "the body is gone"
        return
    yield from _limits(old.value, new.value, "the body")
    yield from _contents(old, new, "the body", Direction.REQUEST)


def _responses(before: Node, after: Node) -> Iterator[str]:
    """Yield breaks of responses. An error may go, and a client that meets a new one knows it by its class.

    Only a client that knows of 304 asks for it.
    """
    old, new = before.value["responses"], after.value["responses"]
    yield from (f"the response {status} is gone" for status in sorted(old.keys() - new.keys()) if _success(status))
    yield from (
        f"the response {status} is new" for status in sorted(new.keys() - old.keys() - {"304"}) if _success(status)
    )
    for status in sorted(old.keys() & new.keys()):
        where = f"the response {status}"
        was, now = before.below(old[status], status), after.below(new[status], status)
        yield from _headers(was, now, where)
        yield from _contents(was, now, where, Direction.RESPONSE if _success(status) else Direction.ERROR)


def _success(status: str) -> bool:
    return status[0] in "123"


def _headers(before: Node, after: Node, where: str) -> Iterator[str]:
    old, new = before.value.get("headers", {}), after.value.get("headers", {})
    for name in old:
        if name not in new:
            yield f"{where} has no header field {name} any more"
            continue
        was, now = before.below(old[name], name), after.below(new[name], name)
        if was.value.get("required", False) and not now.value.get("required", False):
            yield f"{where} may lack the header field {name}"
        yield from _schema(was, now, f"the header field {name}", Direction.RESPONSE)


def _contents(before: Node, after: Node, where: str, direction: Direction) -> Iterator[str]:
    old, new = before.value.get("content", {}), after.value.get("content", {})
    for media_type in old:
        if media_type not in new:
            yield f"{where} has no media type {media_type} any more"
            continue
        was, now = before.below(old[media_type], media_type), after.below(new[media_type], media_type)
        yield from _limits(was.value, now.value, f"{where} as {media_type}")
        yield from _schema(was, now, f"{where} as {media_type}", direction)


def _schema(before: Node, after: Node, where: str, direction: Direction) -> Iterator[str]:
    old, new = (Node(node.document, node.value.get("schema", {}), where) for node in (before, after))
    yield from schema_breaks(old, new, direction)
