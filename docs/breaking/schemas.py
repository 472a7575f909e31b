"""What a change of a schema breaks, for the side that writes the values and for the side that reads them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

_UPPER: Final = ("maximum", "maxLength", "maxItems", "maxProperties")
_LOWER: Final = ("minimum", "minLength", "minItems", "minProperties")
_COMPARED: Final = {
    *_UPPER,
    *_LOWER,
    *("$ref", "type", "nullable", "enum", "x-enum-varnames", "default"),
    *("properties", "required", "additionalProperties", "items", "oneOf", "anyOf"),
}
_SAYS_NOTHING_OF_VALUES: Final = {
    "title",
    "description",
    "example",
    "externalDocs",
    "deprecated",
    "x-pattern-description",
}
_TYPES: Final = {"array", "boolean", "integer", "number", "object", "string"}


class Direction(Enum):
    """Who writes the values of a schema."""

    REQUEST = "in requests"
    RESPONSE = "in responses"


@dataclass(frozen=True)
class Node:
    """A part of a document, with its references resolved one step at a time."""

    document: Mapping[str, Any]
    value: Mapping[str, Any]
    name: str

    def resolved(self) -> "Node":
        """Return what the node refers to, named by the last part of the reference."""
        node = self
        while "$ref" in node.value:
            target: Any = node.document
            *_, name = parts = node.value["$ref"].removeprefix("#/").split("/")
            for part in parts:
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = Node(node.document, target, name)
        return node

    def below(self, value: Mapping[str, Any], name: str) -> "Node":
        """Return a part of this node, resolved."""
        return Node(self.document, value, f"{self.name}/{name}").resolved()


def schema_breaks(before: Node, after: Node, direction: Direction) -> Iterator[str]:
    """Yield a sentence for each way in which values of one schema do not fit the other any more.

    Values of a request were right before and must still be; values of a response must be such as were possible before.
    A new optional member breaks nothing, since a client ignores those of a response that it does not know. A keyword
    without a rule here is taken to break if it is new or has another value.
    """
    before, after = before.resolved(), after.resolved()
    where = f"{before.name} {direction.value}: "
    values, room = (before, after) if direction is Direction.REQUEST else (after, before)
    yield from (where + sentence for sentence in _values(values.value, room.value, before.value, after.value))
    yield from (where + sentence for sentence in _members(before.value, after.value, direction))
    for old, new in _parts(before, after):
        yield from schema_breaks(old, new, direction)
    yield from _alternatives(before, after, direction)


def _values(
    values: Mapping[str, Any], room: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what `values` allows and `room` does not."""
    if missing := sorted(_types(values) - _types(room)):
        yield f"the type {', '.join(missing)} is {_now(values, old)}"
    if "enum" in room and (
        missing := sorted({*map(str, values.get("enum", ["any value"]))} - {*map(str, room["enum"])})
    ):
        yield f"{', '.join(missing)} is {_now(values, old)}"
    for keyword in (*_UPPER, *_LOWER):
        sign = 1 if keyword in _UPPER else -1
        if keyword in room and sign * values.get(keyword, sign * float("inf")) > sign * room[keyword]:
            yield f"{keyword} is {new.get(keyword, 'gone')}, was {old.get(keyword, 'none')}"
    for keyword in sorted(room.keys() - _COMPARED - _SAYS_NOTHING_OF_VALUES):
        if values.get(keyword) != room[keyword]:
            yield f"{keyword} is {new.get(keyword, 'gone')}, was {old.get(keyword, 'none')}"
    if "default" in old and new.get("default") != old["default"]:
        yield f"the default is {new.get('default', 'gone')}, was {old['default']}"
    names = dict(zip(new.get("enum", ()), new.get("x-enum-varnames", ()), strict=False))
    for value, name in zip(old.get("enum", ()), old.get("x-enum-varnames", ()), strict=False):
        if value in names and names[value] != name:
            yield f"generated code has the name {names[value]} for {value}, was {name}"


def _now(values: Mapping[str, Any], old: Mapping[str, Any]) -> str:
    return "no longer allowed" if values is old else "new"


def _types(schema: Mapping[str, Any]) -> set[str]:
    """Return the types that the schema allows. An integer is a number."""
    types = {schema["type"]} if "type" in schema else {*_TYPES, "null"}
    if "number" in types:
        types.add("integer")
    return {*types, "null"} if schema.get("nullable") else types


def _members(before: Mapping[str, Any], after: Mapping[str, Any], direction: Direction) -> Iterator[str]:
    old, new = before.get("properties", {}), after.get("properties", {})
    yield from (f"the member {name} is gone" for name in sorted(old.keys() - new.keys()))
    required, now_required = set(before.get("required", ())), set(after.get("required", ()))
    if direction is Direction.REQUEST:
        yield from (f"the member {name} is required" for name in sorted(now_required - required))
        if after.get("additionalProperties") is False and before.get("additionalProperties") is not False:
            yield "other members are no longer allowed"
    else:
        yield from (f"the member {name} may be absent" for name in sorted((required - now_required) & new.keys()))


def _parts(before: Node, after: Node) -> Iterator[tuple[Node, Node]]:
    """Yield the schemas below that both have."""
    old, new = before.value, after.value
    for name, schema in old.get("properties", {}).items():
        if name in new.get("properties", {}):
            yield before.below(schema, name), after.below(new["properties"][name], name)
    for keyword in ("items", "additionalProperties"):
        if isinstance(old.get(keyword), Mapping) and isinstance(new.get(keyword), Mapping):
            yield before.below(old[keyword], keyword), after.below(new[keyword], keyword)


def _alternatives(before: Node, after: Node, direction: Direction) -> Iterator[str]:
    """Yield what differs between alternatives, which are matched by their references, or else by their places."""
    for keyword in ("oneOf", "anyOf"):
        old, new = (
            {_key(i, part): part for i, part in enumerate(node.value.get(keyword, ()))} for node in (before, after)
        )
        lost = old.keys() - new.keys() if direction is Direction.REQUEST else new.keys() - old.keys()
        if old or (lost and direction is Direction.REQUEST):
            yield from (
                f"{before.name} {direction.value}: the alternative {name} of {keyword} is "
                f"{'gone' if direction is Direction.REQUEST else 'new'}"
                for name in sorted(lost)
            )
        elif new and direction is Direction.REQUEST:
            yield f"{before.name} {direction.value}: {keyword} is new"
        for name in old.keys() & new.keys():
            yield from schema_breaks(before.below(old[name], name), after.below(new[name], name), direction)


def _key(place: int, part: Mapping[str, Any]) -> str:
    reference: str = part.get("$ref", str(place))
    return reference.rpartition("/")[2]
