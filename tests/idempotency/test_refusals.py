"""Operations whose description does not name `Idempotency-Key` refuse it."""

import copy
from typing import Any

import pytest

from server.contract.document import ContractError
from server.contract.fields import refused_fields
from tests.hostile.operations import OPERATIONS, Caller, Operation
from tests.idempotency.requests import FIELD
from tests.support.document import DOCUMENT
from tests.support.raw_http import violations
from tests.support.service import Service
from tests.support.types import Owner

UNSUPPORTED = (FIELD, "is not supported by this operation")
REFUSING = [each for each in OPERATIONS if FIELD not in {parameter["name"] for parameter in each.parameters}]


def test_creating_and_bulk_operations_take_a_key() -> None:
    names = {operation.name for operation in OPERATIONS} - {operation.name for operation in REFUSING}
    assert names == {
        *("createTask", "importTasks", "restoreTask", "completeAllTasks", "clearTasks"),
        *("createMyTask", "importMyTasks", "restoreMyTask", "completeAllMyTasks", "clearMyTasks"),
    }


@pytest.mark.parametrize("operation", REFUSING, ids=lambda operation: operation.name)
def test_a_key_is_refused_by_the_other_operations(service: Service, ada: Owner, operation: Operation) -> None:
    subject, client = ada
    task = client.post("/api/tasks", json={"title": "Buy milk"}).json()
    target = operation.target(user_id=subject, task_id=task["id"])
    with Caller(service, subject) as caller:
        body = b'{"title":"Buy milk"}' if operation.bodies else None
        type_ = [("Content-Type", next(iter(operation.bodies)))] if operation.bodies else []
        answer = caller.send(operation.method, target, [*type_, (FIELD, "k")], body)
    assert UNSUPPORTED in violations(service, answer)
    assert client.get(f"/api/tasks/{task['id']}").json() == task


@pytest.mark.parametrize("change", [{"in": "query"}, {"x-refused-elsewhere": "yes"}], ids=["query", "another value"])
def test_the_extension_is_for_headers_and_is_true(change: dict[str, Any]) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["components"]["parameters"]["IdempotencyKey"] |= change
    with pytest.raises(ContractError, match="x-refused-elsewhere of Idempotency-Key must be true"):
        refused_fields(document)
