"""The stage that holds a request against the document, and puts the handler's arguments together."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

from connexion.middleware.abstract import RoutedMiddleware
from connexion.operations import AbstractOperation

from persistence.postgres.cooperative import Cooperative
from server.contract.document import JSON, JSON_TYPES, ContractError, record_array
from server.contract.parameters import Parameter, compile_parameter, token_claim
from server.contract.read_only import ReadOnlyMembers, compile_read_only, writable
from server.contract.schemas import Formats, Validator, shown
from server.formats import RECORD_FORMATS
from server.formats.content_coding import without_codings
from server.formats.records import Record
from server.formats.strict_json import parse_json
from server.pipeline.content_negotiation import check_accept, one_of
from server.pipeline.preconditions import with_preconditions
from server.pipeline.stage import Operation, StageApi, unique_parameters
from server.pipeline.uploads import ImportOperation, Uploads, has_content
from server.problems import (
    MALFORMED_REQUEST,
    UNSUPPORTED_MEDIA_TYPE,
    Problem,
    Violation,
    validation_failed,
)
from server.request_context import RequestContext, Response

_JSON: Final = JSON.encode()
_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding"))
"""The fields of which a request with a body has one (RFC 9112, section 6)."""

_MAX_VIOLATIONS_PER_RECORD: Final = 3


class _Body(Protocol):
    """A request body, compiled."""

    async def read(self, request: RequestContext, violations: list[Violation]) -> Any:
        """The value for the handler. Raises `Problem` where there is nothing to validate (400, 413, 415)."""


@dataclass(frozen=True, slots=True)
class _JsonBody:
    """A JSON request body."""

    media_types: tuple[str, ...]
    read_only: ReadOnlyMembers
    validator: Validator
    """The validator of the other members."""
    refusal: Mapping[str, str]
    """The header fields of a 415."""
    uploads: Uploads

    async def read(self, request: RequestContext, violations: list[Violation]) -> Any:
        """The value without its `readOnly` members."""
        if _media_type(request.fields) not in self.media_types:
            detail = f"The body must be {' or '.join(self.media_types)} in UTF-8, without a content coding."
            raise Problem(UNSUPPORTED_MEDIA_TYPE, detail, headers=self.refusal)
        value = parse_json(await self.uploads.read(request))
        if isinstance(value, dict) and not self.read_only.names.isdisjoint(value):
            subject = request.user.id if request.user else ""
            value = self.read_only.removed_from(value, subject, request.path_parameters, violations)
        violations += self.validator.violations(value, "pointer")
        return value


@dataclass(frozen=True, slots=True)
class _RecordsBody:
    """A body of records, in one of several media types."""

    schema: Mapping[str, Any]
    """The schema of a record."""
    validator: Validator
    max_records: int
    media_types: tuple[str, ...]
    uploads: Uploads

    async def read(self, request: RequestContext, violations: list[Violation]) -> list[Any]:
        """The values of all records. Raises `Problem` (422) with every invalid record."""
        media_type = _media_type(request.fields)
        if media_type not in self.media_types:
            raise Problem(UNSUPPORTED_MEDIA_TYPE, f"The body must be {one_of(self.media_types)} in UTF-8.")
        content = await self.uploads.read(request)
        values: list[Any] = []
        work = Cooperative()
        for count, record in enumerate(RECORD_FORMATS[media_type].read(content, self.schema)):
            await work.checkpoint()
            # A body may have as many blank lines as records.
            if len(values) + (record is not None) > self.max_records or count == 2 * self.max_records:
                raise validation_failed(
                    [Violation("pointer", "", f"must have at most {self.max_records} records"), *violations]
                )
            if record is not None:
                values.append(self._value(record, violations))
        if violations:
            raise validation_failed(violations, most=self.max_records)
        return values

    def _value(self, record: Record, violations: list[Violation]) -> Any:
        if record.error is None and self.validator.is_valid(record.value):
            return record.value
        # The response has no more.
        if len(violations) < self.max_records:
            violations += self._violations(record)
        return None

    def _violations(self, record: Record) -> list[Violation]:
        """Those of an item of an array with their pointers, or those of a line in one."""
        if isinstance(record.place, str):
            if record.error is not None:
                return [Violation("pointer", record.place, record.error)]
            return self.validator.violations(record.value, "pointer", record.place)[:_MAX_VIOLATIONS_PER_RECORD]
        error = record.error or _in_one(self.validator.violations(record.value, "pointer"))
        return [Violation("line", record.place, error)]


def _in_one(violations: Sequence[Violation]) -> str:
    """The violations of a record in one text, short enough for a response about many records."""
    told = [f"{violation.where} {violation.detail}".lstrip() for violation in violations[:_MAX_VIOLATIONS_PER_RECORD]]
    more = len(violations) - len(told)
    return "; ".join([*told, f"and {more} more"] if more else told)


class _ValidationOperation:
    """Checks a request and puts the handler's arguments together. All violations are told at once."""

    def __init__(
        self,
        next_operation: Operation,
        parameters: Sequence[Parameter],
        body: _Body | None,
        media_type: str | None,
        refused: Iterable[str],
    ) -> None:
        self.next_operation = next_operation
        self.path = [parameter for parameter in parameters if parameter.place == "path"]
        self.headers = [
            (parameter.name.lower().encode(), parameter) for parameter in parameters if parameter.place == "header"
        ]
        self.query = {parameter.name: parameter for parameter in parameters if parameter.place == "query"}
        self.absent = {parameter.name: parameter.default for parameter in self.query.values()}
        self.query_required = any(parameter.required for parameter in self.query.values())
        self.body = body
        self.media_type = media_type
        self.refused = [(name.lower().encode(), name) for name in refused]

    async def __call__(self, request: RequestContext) -> Response:
        if self.media_type is not None:
            check_accept(request.fields.get(b"accept"), self.media_type)
        violations: list[Violation] = []
        arguments = {
            parameter.name: parameter.read(request.path_parameters[parameter.name], violations)
            for parameter in self.path
        }
        for field, parameter in self.headers:
            given = request.fields.get(field)
            value = parameter.read(None if given is None else given.decode("latin-1"), violations)
            if parameter.argument is not None:
                arguments[parameter.argument] = value
        for field, name in self.refused:
            if field in request.fields:
                violations.append(Violation("parameter", name, "is not supported by this operation"))
        query_string = request.scope["query_string"]
        if query_string or self.query_required:
            arguments |= self._read_query(query_string, violations)
        else:
            arguments |= self.absent
        if self.body is not None:
            arguments["body"] = await self.body.read(request, violations)
        elif not _FRAMING.isdisjoint(request.fields) and await has_content(request):
            violations.append(Violation("pointer", "", "must be empty, because the operation takes no body"))
        if violations:
            raise validation_failed(violations)
        request.arguments = arguments
        return await self.next_operation(request)

    def _read_query(self, query_string: bytes, violations: list[Violation]) -> dict[str, Any]:
        given: dict[str, str] = {}
        for name, value in _query_pairs(query_string):
            if name not in self.query:
                violations.append(Violation("parameter", shown(name), "is not a known parameter"))
            elif name in given:
                violations.append(Violation("parameter", name, "must occur only once"))
            given[name] = value
        return {name: parameter.read(given.get(name), violations) for name, parameter in self.query.items()}


def _query_pairs(query_string: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise Problem(MALFORMED_REQUEST, "The decoded query is not valid UTF-8, or has too many parameters.") from None


def _media_type(fields: Mapping[bytes, bytes]) -> str | None:
    """That of the content in lower case, if it is not encoded, and without parameters but the charset UTF-8."""
    if fields.get(b"content-encoding", b"identity") != b"identity":
        return None
    content_type = fields.get(b"content-type", b"")
    if content_type == _JSON:
        return JSON
    declared = _CONTENT_TYPE.fullmatch(content_type)
    return declared[1].decode().lower() if declared else None


# RFC 9110, section 8.3. What is not of this form, or names a charset twice, others may read in another charset.
_CONTENT_TYPE: Final = re.compile(
    rb"([\w!#$%&'*+.^`|~-]+/[\w!#$%&'*+.^`|~-]+)[ \t]*"
    rb'(?:(?:;[ \t]*)+charset=(?:utf-8|"utf-8")[ \t]*)?(?:;[ \t]*)*',
    re.IGNORECASE,
)


class _ValidationApi(StageApi):
    def __init__(self, *args: Any, formats: Formats, refused_fields: frozenset[str], **kwargs: Any) -> None:
        self.formats = formats
        self.refused_fields = refused_fields
        self.uploads = Uploads()
        super().__init__(*args, **kwargs)

    def make_operation(self, operation: AbstractOperation) -> Operation:
        try:
            parameters = [
                _compile_parameter(item, self.formats) for item in unique_parameters(operation) if not token_claim(item)
            ]
            body = _compile_body(operation, self.formats, self.uploads)
            media_type = _media_type_of_success(operation)
            refused = self.refused_fields - {parameter.name for parameter in parameters}
            next_operation = with_preconditions(operation, self.next_operation(operation))
            validation = _ValidationOperation(next_operation, parameters, body, media_type, refused)
            return ImportOperation(validation, self.uploads) if isinstance(body, _RecordsBody) else validation
        except ContractError as error:
            message = f"{operation.operation_id}: {error}"
            raise ContractError(message) from error


def _compile_parameter(parameter: Mapping[str, Any], formats: Formats) -> Parameter:
    """Compile a parameter. The handler gets `If-Match` as if the client had received no content coding."""
    compiled = compile_parameter(parameter, formats)
    return replace(compiled, coerce=without_codings) if compiled.name == "If-Match" else compiled


def _compile_body(operation: AbstractOperation, formats: Formats, uploads: Uploads) -> _Body | None:
    body = operation.request_body
    if not body:
        return None
    media_types = tuple(body["content"])
    schema, *others = [media["schema"] for media in body["content"].values()]
    is_required = body.get("required", False)
    if is_required and set(media_types) <= JSON_TYPES and all(other == schema for other in others):
        return _json_body(operation, schema, formats, uploads)
    is_known = is_required and RECORD_FORMATS.keys() >= set(media_types)
    array = record_array(body["content"]) if is_known else None
    if array is None:
        raise ContractError("the request body is not enforced: it must be required, and JSON, NDJSON or CSV")
    record = array["items"]
    return _RecordsBody(record, _body_validator(record, formats), array["maxItems"], media_types, uploads)


def _json_body(
    operation: AbstractOperation, schema: Mapping[str, Any], formats: Formats, uploads: Uploads
) -> _JsonBody:
    media_types = tuple(operation.request_body["content"])
    path_parameters = [item["name"] for item in unique_parameters(operation) if item["in"] == "path"]
    read_only = compile_read_only(schema, path_parameters, secured=bool(operation.security))
    # RFC 5789, section 2.2.
    refusal = {"accept-patch": ", ".join(media_types)} if operation.method == "patch" else {}
    return _JsonBody(media_types, read_only, _body_validator(writable(schema), formats), refusal, uploads)


def _body_validator(schema: Mapping[str, Any], formats: Formats) -> Validator:
    """Compile the schema of a body. Raises `ContractError` for a `default`: generators make such a member required."""
    if defaults := [name for name, member in schema.get("properties", {}).items() if "default" in member]:
        raise ContractError(f"a default in a request body is not enforced: {', '.join(defaults)}")
    return Validator(schema, formats)


def _media_type_of_success(operation: AbstractOperation) -> str | None:
    """Return the media type of a success, and nothing if it has no content or the dispatch stage chooses the type."""
    types = {
        media_type
        for status, item in operation.responses.items()
        if status < "4"
        for media_type in item.get("content", ())
    }
    if not RECORD_FORMATS.keys() >= types:
        raise ContractError("a success is neither JSON, NDJSON nor CSV")
    return types.pop() if len(types) == 1 else None


class RequestValidationMiddleware(RoutedMiddleware[_ValidationApi]):
    """Validates requests against the document."""

    api_cls = _ValidationApi
