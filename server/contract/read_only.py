"""The `readOnly` members of a request body (OpenAPI 3.0.3, section 4.7.24.2), which clients send back as read."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from server.contract.document import ContractError
from server.contract.parameters import token_claim
from server.problems import Violation

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReadOnlyMembers:
    """The `readOnly` members of an object, which are removed from a body before it is validated.

    The value of a member with `x-token-claim` must be that claim of the token, and with `x-path-parameter` that
    parameter of the path. Any other is ignored.
    """

    names: frozenset[str]
    compared: Mapping[str, str | None]
    """Those that must equal a parameter of the path, with its name, or the `sub` of the token, with None."""
    uuids: frozenset[str]
    """Those that are compared without regard to case (RFC 9562, section 4)."""

    def removed_from(
        self, body: Mapping[str, Any], subject: str, path: Mapping[str, str], violations: list[Violation]
    ) -> dict[str, Any]:
        """Return the other members of a body, and add a violation for each member that differs from its source.

        `subject` is the `sub` of the token, and `path` has the parameters of the path.
        """
        for name, parameter in self.compared.items():
            expected = subject if parameter is None else path[parameter]
            if name in body and not self._is_same(name, body[name], expected):
                source = "user whom the token names" if parameter is None else f"{parameter} of the path"
                violations.append(Violation("pointer", f"/{name}", f"must be the {source}"))
        return {name: value for name, value in body.items() if name not in self.names}

    def _is_same(self, name: str, value: Any, expected: str) -> bool:
        if name in self.uuids and isinstance(value, str):
            return value.lower() == expected.lower()
        return bool(value == expected)


def compile_read_only(schema: Schema, path_parameters: Collection[str], *, secured: bool) -> ReadOnlyMembers:
    """Compile the `readOnly` members of a body.

    Raises `ContractError` for a member that must equal what the operation does not have.
    """
    members = {name: member for name, member in schema.get("properties", {}).items() if _is_read_only(name, member)}
    compared: dict[str, str | None] = {}
    for name, member in members.items():
        if token_claim({"name": name, **member}):
            compared[name] = None
        elif "x-path-parameter" in member:
            compared[name] = member["x-path-parameter"]
    if missing := set(compared.values()) - {*path_parameters, None}:
        raise ContractError(f"x-path-parameter names {missing.pop()}, which the path does not have")
    if not secured and (claims := [name for name, parameter in compared.items() if parameter is None]):
        raise ContractError(f"the operation is public, so it has no token to compare {claims[0]} with")
    uuids = frozenset(name for name, member in members.items() if member.get("format") == "uuid")
    return ReadOnlyMembers(frozenset(members), compared, uuids)


def _is_read_only(name: str, member: Schema) -> bool:
    is_read_only = bool(member.get("readOnly"))
    if not is_read_only and member.keys() & {"x-token-claim", "x-path-parameter"}:
        raise ContractError(f"the member {name} must be readOnly to be compared")
    return is_read_only


def writable(schema: Schema) -> Schema:
    """Return the schema of a body without its `readOnly` members; `required` does not apply to them in a request."""
    members = schema.get("properties", {})
    names = {name for name, member in members.items() if member.get("readOnly")}
    if not names:
        return schema
    return {
        **schema,
        "properties": {name: member for name, member in members.items() if name not in names},
        "required": [name for name in schema.get("required", ()) if name not in names],
    }
