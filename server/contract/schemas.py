"""Compiled Schema Objects (OpenAPI 3.0.3, section 4.7.24): validation, and violations in words."""

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import jsonschema_rs

from server.contract.document import ContractError
from server.contract.time_rules import compile_time_rules
from server.problems import MOST_VIOLATIONS, Violation

Schema = Mapping[str, Any]


class Format(NamedTuple):
    """A `format` of the document that JSON Schema does not define."""

    parse: Callable[[str], Any]
    """Returns the value that the text stands for, or None for an invalid text."""
    description: str
    """The rule for people, to follow "must be"."""


Formats = Mapping[str, Format]
"""The formats by their name in the document."""

NO_FORMATS: Final[Formats] = {}


def to_json_schema(schema: Any) -> Any:
    """Convert a Schema Object of OpenAPI 3.0 with resolved references to JSON Schema 2020-12.

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
    # The keys of `properties` are names of members, even if they look like keywords.
    if name == "properties":
        return {key: to_json_schema(member) for key, member in value.items()}
    return value if name in ("enum", "required") else to_json_schema(value)


def _compiled(schema: dict[str, Any], formats: Formats) -> jsonschema_rs.Draft202012Validator:
    checks: dict[str, Callable[..., bool]] = {
        name: functools.partial(_is_parsed, format_) for name, format_ in formats.items()
    }
    try:
        return jsonschema_rs.Draft202012Validator(
            schema, validate_formats=True, ignore_unknown_formats=True, formats=checks
        )
    except jsonschema_rs.ValidationError as error:
        raise ContractError(f"a schema in the contract is invalid: {error.message}") from error


def _is_parsed(format_: Format, text: str) -> bool:
    return format_.parse(text) is not None


class Validator:
    """One schema, compiled. Raises `ContractError` for an invalid schema."""

    def __init__(self, schema: Schema, formats: Formats = NO_FORMATS) -> None:
        self._schema = to_json_schema(schema)
        self._formats = formats
        self._compiled = _compiled(self._schema, formats)
        self._times = compile_time_rules(schema)

    def is_valid(self, value: Any) -> bool:
        """Return whether the value satisfies the schema."""
        return self._compiled.is_valid(value) and (self._times is None or not self._times.broken(value))

    def violations(self, value: Any, place: str, where: str = "") -> list[Violation]:
        """Return all violations of a value; the pointers of its members start with `where`."""
        found = [
            Violation(place, where + more, rule) for more, rule in (self._times.broken(value) if self._times else ())
        ]
        if self._compiled.is_valid(value):
            return found
        errors = list(self._compiled.iter_errors(value))
        implied = {(name, *error.instance_path) for error in errors for name in _IMPLIED.get(error.kind.name, ())}
        for error in errors:
            if (error.kind.name, *error.instance_path) in implied:
                continue
            inner = "".join(f"/{_escaped(step)}" for step in error.instance_path)
            found += [Violation(place, where + inner + more, detail) for more, detail in self._details(error)]
        return found

    def _details(self, error: jsonschema_rs.ValidationError) -> Iterable[tuple[str, str]]:
        """Yield pointer suffixes and rules. They repeat nothing of the value but shortened names of its members."""
        facts = error.kind.as_dict()
        match error.kind.name:
            case "required":
                yield f"/{_escaped(facts['property'])}", "is required"
            case "additionalProperties":
                for name in facts["unexpected"][:MOST_VIOLATIONS]:
                    yield f"/{_escaped(name)}", "is not a known member"
            case "pattern":
                schema = functools.reduce(lambda at, step: at[step], error.schema_path[:-1], self._schema)
                yield "", "must " + schema.get("x-pattern-description", f"match the pattern {facts['pattern']}")
            case "format":
                yield "", "must be " + self._described(facts["format"])
            case keyword:
                sentence = _SENTENCES.get(keyword, "does not satisfy the contract")
                yield "", sentence(facts) if callable(sentence) else sentence

    def _described(self, format_: str) -> str:
        if format_ in self._formats:
            return self._formats[format_].description
        return _FORMATS.get(format_, f"in the format {format_}")


_NAME_LENGTH: Final = 64


def shown(name: str) -> str:
    """Return a name from a client, truncated and without control characters, to repeat it in a response."""
    if len(name) > _NAME_LENGTH:
        name = name[: _NAME_LENGTH - 1] + "…"
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", name)


_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f]")


def _escaped(step: str | int) -> str:
    """Escape a reference token (RFC 6901, section 3)."""
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
_IMPLIED: Final = {"format": ("minLength", "maxLength", "pattern"), "minLength": ("pattern",)}
"""The keywords whose violations say nothing new about a text that violates the keyword before them."""

_FORMATS: Final = {"uuid": "a UUID such as 01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47"}
_SENTENCES: Final[Mapping[str, str | Callable[[Mapping[str, Any]], str]]] = {
    "type": lambda facts: "must be " + " or ".join(words for name, words in TYPES.items() if name in facts["types"]),
    "enum": lambda facts: "must be one of " + ", ".join(json.dumps(value) for value in facts["options"]),
    "minLength": lambda facts: f"must be at least {_plural(facts['limit'], 'character')} long",
    "maxLength": lambda facts: f"must be at most {_plural(facts['limit'], 'character')} long",
    "minimum": lambda facts: f"must be at least {facts['limit']}",
    "maximum": lambda facts: f"must be at most {facts['limit']}",
    "minItems": lambda facts: f"must have at least {_plural(facts['limit'], 'item')}",
    "maxItems": lambda facts: f"must have at most {_plural(facts['limit'], 'item')}",
    "minProperties": lambda facts: f"must have at least {_plural(facts['limit'], 'member')}",
    "maxProperties": lambda facts: f"must have at most {_plural(facts['limit'], 'member')}",
}
