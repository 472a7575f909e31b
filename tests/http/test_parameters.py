"""Query and path parameters are taken by the letter."""

import pytest

from tests.support.api import ANY_ID
from tests.support.raw_http import ask, bearer_field, problem, request, violations
from tests.support.service import Service
from tests.support.types import Owner

# Parameters


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        *(
            pytest.param(f"limit={value}", [("limit", "must be an integer")], id=f"limit {value or 'empty'}")
            for value in (
                "",
                "1_0",
                "%205",
                "5%20",
                "5%0A",
                "+5",
                "%2B5",
                "%D9%A5",
                "%EF%BC%95",
                "5.0",
                "1e1",
                "0x5",
                "05",
                "-05",
                "--5",
                "five",
                "null",
                "true",
                "99999999999999999999",
                "%00",
                "5,6",
            )
        ),
        pytest.param("limit", [("limit", "must be an integer")], id="limit without a value"),
        pytest.param("limit=0", [("limit", "must be at least 1")], id="limit 0"),
        pytest.param("limit=-0", [("limit", "must be at least 1")], id="limit -0"),
        pytest.param("limit=-1", [("limit", "must be at least 1")], id="limit -1"),
        pytest.param("limit=1001", [("limit", "must be at most 1000")], id="limit 1001"),
        pytest.param("limit=999999999999999999", [("limit", "must be at most 1000")], id="limit of 18 digits"),
        pytest.param("limit=5&limit=5", [("limit", "must occur only once")], id="repeated limit"),
        pytest.param("limit[]=5", [("limit[]", "is not a known parameter")], id="limit in brackets"),
        pytest.param("Limit=5", [("Limit", "is not a known parameter")], id="Limit"),
        pytest.param("page=2", [("page", "is not a known parameter")], id="unknown"),
        pytest.param("=2", [("", "is not a known parameter")], id="without a name"),
        pytest.param("a%00=1", [("a\N{REPLACEMENT CHARACTER}", "is not a known parameter")], id="NUL in a name"),
        *(
            pytest.param(
                f"status={value}",
                [("status", 'must be one of "all", "pending", "completed", "trashed"')],
                id=f"status {value}",
            )
            for value in ("", "Pending", "COMPLETED", "all%20", "pending%00", "pending,completed", "[]", "done")
        ),
        *(
            pytest.param(
                f"sort={value}",
                [("sort", 'must be one of "created", "-created", "title", "-title", "updated", "-updated"')],
                id=f"sort {value}",
            )
            for value in ("Created", "--created", "+created", "created_at", "id", "title;drop")
        ),
        pytest.param(
            "cursor=",
            [("cursor", "must be taken from a Link header of a list with the same sort")],
            id="empty cursor",
        ),
        pytest.param(
            "cursor=a.b&limit=0",
            [
                ("cursor", "must be taken from a Link header of a list with the same sort"),
                ("limit", "must be at least 1"),
            ],
            id="cursor with a dot, and a limit",
        ),
        pytest.param(
            "limit=a&sort=b&status=c&d=e",
            [
                ("d", "is not a known parameter"),
                ("limit", "must be an integer"),
                ("sort", 'must be one of "created", "-created", "title", "-title", "updated", "-updated"'),
                ("status", 'must be one of "all", "pending", "completed", "trashed"'),
            ],
            id="all at once",
        ),
    ],
)
def test_parameters_are_taken_by_the_letter(
    service: Service, member: Owner, query: str, expected: list[tuple[str, str]]
) -> None:
    subject, _ = member
    for path in ("/api/tasks", f"/api/{subject}/tasks"):
        answer = ask(service, request("GET", f"{path}?{query}", [bearer_field(subject)]))
        assert sorted(set(violations(service, answer))) == sorted(expected)


@pytest.mark.parametrize(
    "query", ["limit=1", "limit=1000", "status=all&sort=-title", "stat%75s=pending", "", "&", "&&"]
)
def test_parameters_in_order_are_taken(service: Service, member: Owner, query: str) -> None:
    assert ask(service, request("GET", f"/api/tasks?{query}", [bearer_field(member[0])])).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(b"status=%FF", id="value"),
        pytest.param(b"%FF=1", id="name"),
        pytest.param(b"status=%ED%A0%BD", id="surrogate"),
        pytest.param(b"&".join([b"a=1"] * 101), id="101 fields"),
    ],
)
def test_a_query_that_is_not_utf_8_or_has_no_end_is_malformed(service: Service, member: Owner, query: bytes) -> None:
    answer = ask(service, request("GET", b"/api/tasks?" + query, [bearer_field(member[0])]))
    problem(service, answer, "malformed-request")


def test_a_long_parameter_name_is_not_repeated(service: Service, member: Owner) -> None:
    answer = member[1].get("/api/tasks", params={"a" * 7_000: "b" * 1_000})
    assert violations(service, answer) == [("a" * 63 + "…", "is not a known parameter")]


@pytest.mark.parametrize(
    "task_id",
    [
        f"%7B{ANY_ID}%7D",
        f"urn:uuid:{ANY_ID}",
        ANY_ID.replace("-", ""),
        ANY_ID[:-1],
        ANY_ID + "0",
        ANY_ID + "%00",
        ANY_ID + "%0A",
        "%20" + ANY_ID,
        ANY_ID.replace("0", "g"),
        ANY_ID.replace("-", "_"),
        ANY_ID.replace("1", "%D9%A1"),
        "01a1f83cda9b-7d52-9c0e-3f6a-1b8d2e47",
        "0",
        "null",
        "%00",
        "..",
        "a%2Fb",
    ],
)
@pytest.mark.parametrize(("method", "suffix"), [("GET", ""), ("DELETE", ""), ("PATCH", "/toggle")])
def test_a_task_id_that_is_no_uuid_is_told_so(
    service: Service, member: Owner, task_id: str, method: str, suffix: str
) -> None:
    answer = ask(service, request(method, f"/api/tasks/{task_id}{suffix}", [bearer_field(member[0])]))
    assert ("task_id", "must be a UUID such as 01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47") in violations(service, answer)


def test_a_task_id_may_be_in_upper_case(ada: Owner) -> None:
    _, client = ada
    created = client.post("/api/tasks", json={"title": "a"}).json()
    assert client.get(f"/api/tasks/{created['id'].upper()}").json() == created


def test_violations_in_path_query_and_body_are_told_at_once(service: Service, member: Owner) -> None:
    subject, client = member
    body = {"title": " ", "completed": 1, "user_id": "bob"}
    answer = client.put(f"/api/{subject}/tasks/42?force=1", json=body)
    assert violations(service, answer) == [
        ("/completed", "must be a boolean"),
        ("/title", "must contain more than white space and no NUL character"),
        ("/user_id", "must be the user whom the token names"),
        ("force", "is not a known parameter"),
        ("task_id", "must be a UUID such as 01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47"),
    ]
