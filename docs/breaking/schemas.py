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
    *("type", "nullable", "enum", "x-enum-varnames", "default", "format"),
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
    ERROR = "in errors"
    """Those of responses, which may have a new `code` or be a new problem: docs/clients.md has clients expect that."""


@dataclass(frozen=True)
class Node:
    """A part of a document, with its references resolved one step at a time."""

    document: Mapping[str, Any]
    value: Mapping[str, Any]
    name: str

    def resolved(self) -> "Node":
        """Return what the node refers to, named by the last part of the reference, with its `allOf` as one schema."""
        node = self
        while "$ref" in node.value:
            target: Any = node.document
            *_, name = parts = node.value["$ref"].removeprefix("#/").split("/")
            for part in parts:
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = Node(node.document, target, name)
        return node if "allOf" not in node.value else Node(node.document, node._merged(), node.name)

    def _merged(self) -> Mapping[str, Any]:
        own = {keyword: value for keyword, value in self.value.items() if keyword != "allOf"}
        merged: dict[str, Any] = {}
        for part in (*(self.below(part, "allOf").value for part in self.value["allOf"]), own):
            merged |= dict(part) | {
                "properties": merged.get("properties", {}) | part.get("properties", {}),
                "required": [*merged.get("required", ()), *part.get("required", ())],
            }
        return merged

    def below(self, value: Mapping[str, Any], name: str) -> "Node":
        """Return a part of this node, resolved."""
        return Node(self.document, value, f"{self.name}/{name}").resolved()

    def of_any_value(self) -> "Node":
        """Return a schema that lists no values."""
        return Node(self.document, {name: value for name, value in self.value.items() if name != "enum"}, self.name)

    @property
    def has_type(self) -> bool:
        """Whether generated code has a type of this name."""
        return self.name in self.document.get("components", {}).get("schemas", {})


def schema_breaks(
    before: Node, after: Node, direction: Direction, seen: frozenset[tuple[str, str]] = frozenset()
) -> Iterator[str]:
    """Yield a sentence for each way in which values of one schema do not fit the other any more.

    Values of a request were right before and must still be; values of a response must be such as were possible before.
    A new optional member breaks nothing, since a client ignores those of a response that it does not know. A keyword
    without a rule here is taken to break if it is new or has another value. `seen` are the schemas that have this one.
    """
    before, after = before.resolved(), after.resolved()
    pair = before.name, after.name
    if pair in seen:
        return
    where = f"{before.name} {direction.value}: "
    if before.name != after.name and before.has_type and after.has_type:
        yield f"{where}generated code has the type {after.name} in its place"
    if _choices(before) or _choices(after):
        yield from _alternatives(before, after, direction, seen | {pair})
    if bool(_choices(before)) is not bool(_choices(after)):
        return
    values, room = (before, after) if direction is Direction.REQUEST else (after, before)
    yield from (where + one for one in _values(values.value, room.value, before.value, after.value))
    yield from (where + one for one in _generated(before.value, after.value))
    yield from (where + one for one in _members(before.value, after.value, direction))
    for name, old, new in _parts(before, after):
        is_code = name == "code" and direction is Direction.ERROR
        yield from schema_breaks(old.of_any_value() if is_code else old, new, direction, seen | {pair})


def _values(
    values: Mapping[str, Any], room: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what `values` allows and `room` does not."""
    if missing := sorted(_types(values) - _types(room)):
        yield f"the type {', '.join(missing)} is {_now(values, old)}"
    given = {*map(str, values.get("enum", ["any value"]))}
    if missing := sorted(given - {*map(str, room.get("enum", given))}):
        yield f"{', '.join(missing)} is {_now(values, old)}"
    for keyword in (*_UPPER, *_LOWER):
        sign = 1 if keyword in _UPPER else -1
        unlimited = 0 if keyword in _LOWER and keyword != "minimum" else sign * float("inf")
        if keyword in room and sign * values.get(keyword, unlimited) > sign * room[keyword]:
            yield f"{keyword} is {new.get(keyword, 'gone')}, was {old.get(keyword, 'none')}"
    for keyword in sorted(room.keys() - _COMPARED - _SAYS_NOTHING_OF_VALUES):
        if values.get(keyword) != room[keyword]:
            yield f"{keyword} is {new.get(keyword, 'gone')}, was {old.get(keyword, 'none')}"


def _generated(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is other in generated code, or in what the service does, whoever writes the values."""
    if old.get("format") != new.get("format"):
        yield f"format is {new.get('format', 'gone')}, was {old.get('format', 'none')}"
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
        ignored = {name for name, member in new.items() if member.get("readOnly")}
        yield from (f"the member {name} is required" for name in sorted(now_required - required - ignored))
        if after.get("additionalProperties") is False and before.get("additionalProperties") is not False:
            yield "other members are no longer allowed"
    else:
        yield from (f"the member {name} may be absent" for name in sorted((required - now_required) & new.keys()))


def _parts(before: Node, after: Node) -> Iterator[tuple[str, Node, Node]]:
    """Yield the schemas below that both have, with the name of the member. That of other members may be a boolean."""
    old, new = before.value, after.value
    for name, schema in old.get("properties", {}).items():
        if name in new.get("properties", {}):
            yield name, before.below(schema, name), after.below(new["properties"][name], name)
    if "items" in old and "items" in new:
        yield "", before.below(old["items"], "items"), after.below(new["items"], "items")
    others = [value.get("additionalProperties", True) for value in (old, new)]
    if False not in others and others != [True, True]:
        was, now = ({} if other is True else other for other in others)
        yield "", before.below(was, "additionalProperties"), after.below(now, "additionalProperties")


def _alternatives(before: Node, after: Node, direction: Direction, seen: frozenset[tuple[str, str]]) -> Iterator[str]:
    """Yield what differs between alternatives, which are matched by their references, or else by their places.

    A schema without alternatives is the only one.
    """
    old, new = (_choices(node) or {node.name: node} for node in (before, after))
    lost = old.keys() - new.keys() if direction is Direction.REQUEST else new.keys() - old.keys()
    for name in sorted(lost):
        if not (direction is Direction.ERROR and "code" in new[name].value.get("properties", {})):
            yield f"{before.name} {direction.value}: the alternative {name} is {'gone' if name in old else 'new'}"
    for name in old.keys() & new.keys():
        yield from schema_breaks(old[name], new[name], direction, seen)


def _choices(node: Node) -> dict[str, Node]:
    parts = enumerate([*node.value.get("oneOf", ()), *node.value.get("anyOf", ())])
    return {part.get("$ref", str(place)).rpartition("/")[2]: node.below(part, str(place)) for place, part in parts}
