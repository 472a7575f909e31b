"""Compiled Parameter Objects (OpenAPI 3.0.3, section 4.7.12): coercion, validation and default."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic.alias_generators import to_snake

from server.contract.document import ContractError
from server.contract.schemas import NO_FORMATS, TYPES, Format, Formats, Validator
from server.problems import Violation

IF_NONE_MATCH: Final = "If-None-Match"
"""The header parameter that the dispatch stage handles, in the same way for every response."""


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
    """The name of the handler's argument; None if a stage handles the parameter."""
    required: bool
    default: Any
    type: str
    coerce: Callable[[str], Any]
    validator: Validator
    format: Format | None
    """The format that turns the text into the value for the handler."""

    def read(self, text: str | None, violations: list[Violation]) -> Any:
        """Return the value for the handler, or add violations of the text to `violations`."""
        if text is None:
            if self.required:
                violations.append(Violation("parameter", self.name, "is required"))
            return self.default
        parsed = value = self.coerce(text)
        if value is None:
            violations.append(Violation("parameter", self.name, f"must be {TYPES[self.type]}"))
        elif self.format is not None and (parsed := self.format.parse(value)) is None:
            violations.append(Violation("parameter", self.name, f"must be {self.format.description}"))
        elif found := self.validator.violations(value, "parameter", self.name):
            violations += found
        return parsed


def compile_parameter(parameter: Mapping[str, Any], formats: Formats = NO_FORMATS) -> Parameter:
    """Compile a Parameter Object whose references are resolved.

    Raises `ContractError` for a kind of parameter that the service could not enforce.
    """
    name, place, schema = parameter["name"], parameter["in"], parameter.get("schema", {})
    kind = schema.get("type")
    if place not in ("path", "query", "header") or kind not in _COERCIONS or schema.get("nullable"):
        raise ContractError(f"the parameter {name} ({kind} in {place}) is of a kind that is not enforced")
    required, default, coerce = parameter.get("required", False), schema.get("default"), _COERCIONS[kind]
    # The format is parsed, so the validator need not check it too.
    return Parameter(
        name,
        place,
        argument_name(parameter),
        required,
        default,
        kind,
        coerce,
        Validator(schema),
        formats.get(schema.get("format", "")),
    )


def argument_name(parameter: Mapping[str, Any]) -> str | None:
    """Return the name of the handler's argument for a parameter, or None if a stage handles the parameter."""
    if token_claim(parameter) or parameter["name"] == IF_NONE_MATCH:
        return None
    return to_snake(parameter["name"])


def token_claim(parameter: Mapping[str, Any]) -> str | None:
    """Return the claim that must equal the parameter (`x-token-claim`). Raises `ContractError` for any but `sub`."""
    claim: str | None = parameter.get("x-token-claim")
    if claim not in (None, "sub"):
        raise ContractError(f"x-token-claim of {parameter['name']} must be sub")
    return claim
