"""The contract: the authored document, and what is worked out from it once, at start."""

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import jsonschema_rs

from persistence.cursor import is_cursor
from server.contract.document import ContractError
from server.problems import CURSOR_IN_WORDS, MOST_VIOLATIONS, Violation

Schema = Mapping[str, Any]


def to_json_schema(schema: Any) -> Any:
    """A Schema Object of OpenAPI 3.0, its references resolved, as JSON Schema 2020-12.

    The dialects differ in `nullable` and in the exclusive bounds (OpenAPI 3.0.3, section 4.7.24).
    """
    if isinstance(schema, list):
        return [to_json_schema(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    result = {name: _member(name, value) for name, value in schema.items() if name not in _ANNOTATIONS}
    if result.pop("nullable", False):
        result["type"] = [result["type"], "null"]
        if "enum" in result:
            result["enum"] = [*result["enum"], None]
    for bound in ("Minimum", "Maximum"):
        if result.pop(f"exclusive{bound}", False):
            result[f"exclusive{bound}"] = result.pop(bound.lower())
    return result


_ANNOTATIONS: Final = ("example", "default", "discriminator", "xml", "externalDocs")


def _member(name: str, value: Any) -> Any:
    # The names below are those of properties and no keywords, even where they read like one.
    if name == "properties":
        return {key: to_json_schema(member) for key, member in value.items()}
    return value if name in ("enum", "required") else to_json_schema(value)


def _validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    try:
        return jsonschema_rs.Draft202012Validator(
            schema, validate_formats=True, ignore_unknown_formats=True, formats={"cursor": is_cursor}
        )
    except jsonschema_rs.ValidationError as error:
        raise ContractError(f"a schema of the contract is none: {error.message}") from error


class Validator:
    """One schema, compiled."""

    def __init__(self, schema: Schema) -> None:
        self._schema = to_json_schema(schema)
        self._compiled = _validator(self._schema)

    def is_valid(self, value: Any) -> bool:
        """Whether the value satisfies the schema."""
        return self._compiled.is_valid(value)

    def violations(self, value: Any, place: str, where: str = "") -> list[Violation]:
        """Everything that is wrong with the value; `where` is added to for what is wrong inside it."""
        if self._compiled.is_valid(value):
            return []
        found = []
        errors = list(self._compiled.iter_errors(value))
        # What is not of its format is not worth a word about its length and characters.
        formless = [error.instance_path for error in errors if error.kind.name == "format"]
        for error in errors:
            if error.kind.name != "format" and error.instance_path in formless:
                continue
            inner = "".join(f"/{_escaped(step)}" for step in error.instance_path)
            found += [Violation(place, where + inner + more, detail) for more, detail in self._details(error)]
        return found

    def _details(self, error: jsonschema_rs.ValidationError) -> Iterable[tuple[str, str]]:
        """What would be right, in words that repeat nothing of the value but the shortened names of its members."""
        facts = error.kind.as_dict()
        match error.kind.name:
            case "required":
                yield f"/{_escaped(facts['property'])}", "is required"
            case "additionalProperties":
                for name in facts["unexpected"][:MOST_VIOLATIONS]:
                    yield f"/{_escaped(name)}", "is not a member that the contract knows"
            case "pattern":
                schema = functools.reduce(lambda at, step: at[step], error.schema_path[:-1], self._schema)
                yield "", "must " + schema.get("x-pattern-description", f"match the pattern {facts['pattern']}")
            case keyword:
                sentence = _SENTENCES.get(keyword, "does not satisfy the contract")
                yield "", sentence(facts) if callable(sentence) else sentence


_NAME_LENGTH: Final = 64


def shown(name: str) -> str:
    """A name that a client made up, fit to be repeated: cut short, and without control characters."""
    if len(name) > _NAME_LENGTH:
        name = name[: _NAME_LENGTH - 1] + "…"
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", name)


_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f]")


def _escaped(step: str | int) -> str:
    """A reference token (RFC 6901, section 3)."""
    return shown(str(step)).replace("~", "~0").replace("/", "~1")


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


TYPES: Final = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "a boolean",
    "object": "an object",
    "array": "an array",
    "null": "null",
}
_FORMATS: Final = {
    "uuid": "a UUID such as 01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47",
    "cursor": CURSOR_IN_WORDS,
}
_SENTENCES: Final[Mapping[str, str | Callable[[Mapping[str, Any]], str]]] = {
    "type": lambda facts: "must be " + " or ".join(words for name, words in TYPES.items() if name in facts["types"]),
    "enum": lambda facts: "must be one of " + ", ".join(json.dumps(value) for value in facts["options"]),
    "format": lambda facts: "must be " + _FORMATS.get(facts["format"], f"in the format {facts['format']}"),
    "minLength": lambda facts: f"must be at least {_plural(facts['limit'], 'character')} long",
    "maxLength": lambda facts: f"must be at most {_plural(facts['limit'], 'character')} long",
    "minimum": lambda facts: f"must be at least {facts['limit']}",
    "maximum": lambda facts: f"must be at most {facts['limit']}",
    "minItems": lambda facts: f"must have at least {_plural(facts['limit'], 'item')}",
    "maxItems": lambda facts: f"must have at most {_plural(facts['limit'], 'item')}",
    "minProperties": lambda facts: f"must have at least {_plural(facts['limit'], 'member')}",
    "maxProperties": lambda facts: f"must have at most {_plural(facts['limit'], 'member')}",
}


def body_defaults(schema: Schema) -> dict[str, Any]:
    """The members of an object that have a default, with it."""
    members = schema.get("properties", {}).items()
    return {name: member["default"] for name, member in members if "default" in member}
