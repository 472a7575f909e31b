"""The contract: the authored document, and what is worked out from it once, at start."""

import copy
import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import inflection
import jsonschema_rs
import structlog
import yaml

from persistence.tasks import is_cursor
from server.problems import CURSOR_IN_WORDS, MOST_VIOLATIONS, Violation

_log = structlog.get_logger()

JSON: Final = "application/json"
"""The media type of every body that is no error."""

IF_NONE_MATCH: Final = "If-None-Match"
"""The header parameter that the dispatch stage sees to: every answer is compared with it in the same way."""

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
"""The members of a Path Item that are operations (OpenAPI 3.0.3, section 4.7.9)."""

Schema = Mapping[str, Any]


class ContractError(Exception):
    """The document, or what serves it, is not what the service can enforce. It refuses to start."""


def load_document(overlays: Iterable[str] = (), *, root_path: str = "") -> dict[str, Any]:
    """The authored document, adapted by the given files of OpenAPI Overlay 1.0 and to where the service is shown.

    Raises `ContractError` for an overlay that cannot be read.
    """
    document = copy.deepcopy(_authored())
    for path in overlays:
        _apply_overlay(document, path)
    if root_path:
        document["servers"][0]["url"] = root_path
    return document


@functools.cache
def _authored() -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(authored_yaml(), Loader=_LOADER)  # noqa: S506  it is the safe one
    return document


def authored_yaml() -> bytes:
    """The document as it was written."""
    return files("openapi").joinpath("openapi.yaml").read_bytes()


def to_yaml(document: Mapping[str, Any]) -> bytes:
    """The document as YAML: byte for byte as it was written, if nothing has adapted it."""
    if document == _authored():
        return authored_yaml()
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True).encode()


# libyaml's loader is ten times as fast, but not every build of PyYAML has it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _apply_overlay(document: dict[str, Any], path: str) -> None:
    from oas_patch.overlay import apply_overlay  # noqa: PLC0415  costs half a second, which few need

    try:
        overlay = yaml.safe_load(Path(path).read_bytes())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ContractError(f"the overlay {path} cannot be read: {error}") from error
    if not isinstance(overlay, dict) or not str(overlay.get("overlay")).startswith("1."):
        raise ContractError(f"{path} is not an OpenAPI Overlay 1.x")
    before = copy.deepcopy(document)
    try:
        apply_overlay(document, overlay)
    except Exception as error:  # the library names none of those that a broken action can cause
        raise ContractError(f"the overlay {path} cannot be applied: {error}") from error
    if document == before:
        # The specification allows it, but whoever wrote the overlay meant it to do something.
        _log.warning("contract.overlay_without_effect", path=path)


def operations(document: Mapping[str, Any]) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
    """Every operation with its path template and its method in lower case, in the order of the document."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def resolved(document: Mapping[str, Any], item: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a Reference Object of the document stands for; anything else as it is (OpenAPI 3.0.3, section 4.7.23)."""
    if "$ref" not in item:
        return item
    for step in item["$ref"].split("/")[1:]:
        document = document[step]
    return document


def larger_bodies(document: Mapping[str, Any]) -> list[tuple[re.Pattern[bytes], int]]:
    """The paths whose bodies may be longer than others, by the document's `x-max-bytes`, and how long in bytes."""
    bodies = (
        (path, resolved(document, operation.get("requestBody", {}))) for path, _, operation in operations(document)
    )
    return [(compile_path(path), body["x-max-bytes"]) for path, body in bodies if "x-max-bytes" in body]


# JSON Schema


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


_TYPES: Final = {
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
    "type": lambda facts: "must be " + " or ".join(words for name, words in _TYPES.items() if name in facts["types"]),
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


# Parameters


def _integer(text: str) -> int | None:
    # JSON's form of an integer: no plus sign, no white space, no underscore, no leading zero, ASCII digits only.
    # Nineteen digits hold every int64.
    return int(text) if re.fullmatch(r"-?(0|[1-9][0-9]{0,18})", text, re.ASCII) else None


def _boolean(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text)


_COERCIONS: Final[Mapping[str, Callable[[str], Any]]] = {
    "string": lambda text: text,
    "integer": _integer,
    "boolean": _boolean,
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation, compiled."""

    name: str
    place: str
    """`path`, `query` or `header`."""
    argument: str | None
    """What the handler calls it; None where no handler gets to see it."""
    required: bool
    default: Any
    type: str
    coerce: Callable[[str], Any]
    validator: Validator

    def read(self, text: str | None, violations: list[Violation]) -> Any:
        """The value for the handler; what is wrong with the text is added to `violations`."""
        if text is None:
            if self.required:
                violations.append(Violation("parameter", self.name, "is required"))
            return self.default
        value = self.coerce(text)
        if value is None:
            violations.append(Violation("parameter", self.name, f"must be {_TYPES[self.type]}"))
        elif found := self.validator.violations(value, "parameter", self.name):
            violations += found
        return value


def compile_parameter(parameter: Mapping[str, Any]) -> Parameter:
    """Compile a Parameter Object, its references resolved.

    Raises `ContractError` for a kind of parameter that the service could not enforce.
    """
    name, place, schema = parameter["name"], parameter["in"], parameter.get("schema", {})
    kind = schema.get("type")
    if place not in ("path", "query", "header") or kind not in _COERCIONS or schema.get("nullable"):
        raise ContractError(f"the parameter {name} ({kind} in {place}) is of a kind that is not enforced")
    required, default, coerce = parameter.get("required", False), schema.get("default"), _COERCIONS[kind]
    return Parameter(name, place, argument_of(parameter), required, default, kind, coerce, Validator(schema))


def argument_of(parameter: Mapping[str, Any]) -> str | None:
    """What the handler calls a parameter, or None where the stages around the handler see to it."""
    if token_claim(parameter) or parameter["name"] == IF_NONE_MATCH:
        return None
    return inflection.underscore(parameter["name"])


def token_claim(parameter: Mapping[str, Any]) -> str | None:
    """The claim that the token must have the parameter's value in, by the document's `x-token-claim`."""
    claim: str | None = parameter.get("x-token-claim")
    if claim not in (None, "sub"):
        raise ContractError(f"x-token-claim of {parameter['name']} must be sub")
    return claim


def body_defaults(schema: Schema) -> dict[str, Any]:
    """The members of an object that have a default, with it."""
    members = schema.get("properties", {}).items()
    return {name: member["default"] for name, member in members if "default" in member}


def compile_path(template: str) -> re.Pattern[bytes]:
    """A path template as an expression for the path as it was sent. A parameter is one segment, and not empty."""
    pattern = "".join(
        f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part)
        for part in re.split(r"(\{[^}]*\})", template)
    )
    return re.compile(pattern.encode())
