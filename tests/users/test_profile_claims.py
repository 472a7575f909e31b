"""The newest token decides what the profile says, in whatever order tokens are used."""

import itertools
import time
from collections.abc import Mapping

import pytest

from tests.support.api import create_task
from tests.support.concurrency import at_once
from tests.support.servers.issuer import forge
from tests.support.service import SECRET, Service
from tests.support.types import Connection, Json, NewUser

Claims = Mapping[str, object]
START = 1_700_000_000
A = {"email": "a@example.com", "name": "A"}
B = {"email": "b@example.com", "name": "B"}
C = {"email": "c@example.com", "name": "C"}


def token(subject: str, claims: Claims) -> str:
    """Return a token with these claims; `at` is `iat`, counted from a moment in the past."""
    exact = {name: value for name, value in claims.items() if name != "at"}
    iat = {"iat": START + claims["at"]} if "at" in claims else {}  # type: ignore[operator]
    payload = {"sub": subject, "exp": int(time.time()) + 900, **iat, **exact}
    return forge({"alg": "HS256"}, payload, SECRET.encode())


def use(service: Service, how: str, subject: str, claims: Claims) -> None:
    client = service.client(authorization=f"Bearer {token(subject, claims)}")
    if how == "profile":
        assert client.get("/api/me").status_code == 200
    elif how == "create":
        create_task(client)
    elif how == "create with a key":
        fields = {"Idempotency-Key": f"k{time.time_ns()}"}
        assert client.post("/api/tasks", json={"title": "t"}, headers=fields).status_code == 201
    else:
        line, fields = b'{"title": "imported"}\n', {"content-type": "application/x-ndjson"}
        assert client.post("/api/tasks/import", content=line, headers=fields).status_code == 200


def profile(service: Service, subject: str) -> Json:
    """Read the profile with a token that says nothing about the user."""
    read: Json = service.client(authorization=f"Bearer {token(subject, {})}").get(f"/api/{subject}").json()
    return read


def said(service: Service, subject: str) -> Json:
    read = profile(service, subject)
    return {name: read[name] for name in ("email", "name")}


SEQUENCES = [
    pytest.param([{"at": 1, **A}, {"at": 2, **B}], B, id="a-newer-token-replaces"),
    pytest.param([{"at": 2, **A}, {"at": 1, **B}], A, id="an-older-token-does-not"),
    pytest.param([{"at": 1, **A}, {"at": 1, **B}], B, id="the-later-use-of-two-as-old"),
    pytest.param([{"at": 1, **A}, {"at": 3, **A}, {"at": 2, **B}], A, id="the-newest-said-the-same"),
    pytest.param([{"at": 1, **A}, B], A, id="a-token-without-iat-does-not"),
    pytest.param([A, B], A, id="nor-does-one-of-two-without-iat"),
    pytest.param([A, {"at": 0, **B}], B, id="a-token-with-iat-is-newer"),
    pytest.param([{"at": 1, **A}, {"at": 2}], A, id="a-token-without-claims-leaves"),
    pytest.param([{"at": 1, **A}, {"at": 2, "email": None, "name": None}], A, id="null-claims-leave"),
    pytest.param([{"at": 1, **A}, {"at": 2, "name": "B"}], {**A, "name": "B"}, id="each-claim-by-itself"),
    pytest.param(
        [{"at": 2, "email": "b@example.com"}, {"at": 1, **A}], {**A, "email": "b@example.com"}, id="an-older-one-adds"
    ),
    pytest.param([{"at": 1}, B], B, id="a-token-without-iat-adds"),
    pytest.param([{"at": 0.25, **A}, {"at": 0.5, **B}, {"at": 0.375, **C}], B, id="fractions-of-a-second"),
    pytest.param([{"at": -START - 5, **A}, {"at": -START - 9, **B}], B, id="all-times-before-1970-are-one"),
]


@pytest.mark.parametrize("how", ["profile", "create", "create with a key", "import"])
@pytest.mark.parametrize(("tokens", "expected"), SEQUENCES)
def test_the_newest_token_decides(
    service: Service, new_user: NewUser, how: str, tokens: list[Claims], expected: Json
) -> None:
    subject = new_user("ada")
    for claims in tokens:
        use(service, how, subject, claims)
    assert said(service, subject) == expected


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=lambda order: "".join(map(str, order)))
def test_the_order_of_use_does_not_matter(service: Service, new_user: NewUser, order: tuple[int, ...]) -> None:
    tokens: list[Claims] = [{"at": 0, **A}, {"at": 1, "email": "b@example.com"}, {"at": 2, "name": "C"}, {"at": 3}]
    subject = new_user("ada")
    for number in order:
        use(service, "profile", subject, tokens[number])
    assert said(service, subject) == {"email": "b@example.com", "name": "C"}


def test_tokens_at_once_end_with_the_newest(service: Service, new_user: NewUser) -> None:
    subject = new_user("ada")
    tokens = [token(subject, {"at": at, "name": str(at)}) for at in range(20)]
    answers = at_once(
        service, [(each, lambda client: client.post("/api/tasks", json={"title": "t"})) for each in tokens]
    )
    assert {answer.status_code for answer in answers} == {201}
    assert said(service, subject) == {"email": None, "name": "19"}


def test_updated_at_is_the_time_of_the_last_change(service: Service, new_user: NewUser) -> None:
    subject = new_user("ada")
    use(service, "create", subject, {"at": 1, **A})
    first = profile(service, subject)
    assert first["updated_at"] == first["created_at"]
    # Neither a newer token that says the same nor an older one changes anything that a client sees.
    nothing_new: list[Claims] = [{"at": 2, **A}, {"at": 0, **B}, B]
    for claims in nothing_new:
        use(service, "profile", subject, claims)
        assert profile(service, subject) == first
    use(service, "profile", subject, {"at": 3, **B})
    later = profile(service, subject)
    assert later == {**first, **B, "updated_at": later["updated_at"]}
    assert first["updated_at"] < later["updated_at"]


def test_a_token_that_says_nothing_new_writes_nothing(
    service: Service, new_user: NewUser, connection: Connection
) -> None:
    """Concurrent writes of one user do not wait for a row that nobody changes."""
    subject = new_user("ada")
    use(service, "create", subject, {"at": 1, **A})
    version = "SELECT xmin, ctid FROM users WHERE id = %s"
    before = connection.execute(version, [subject]).fetchall()
    nothing_new: list[Claims] = [{"at": 1, **A}, {"at": 0, **B}, B, {"at": 2}, {}]
    for how, claims in itertools.product(("profile", "create"), nothing_new):
        use(service, how, subject, claims)
    connection.rollback()
    assert connection.execute(version, [subject]).fetchall() == before
    use(service, "create", subject, {"at": 2, **A})
    connection.rollback()
    assert connection.execute(version, [subject]).fetchall() != before


def test_claims_of_the_previous_release_are_older_than_any(
    service: Service, new_user: NewUser, connection: Connection
) -> None:
    subject = new_user("ada")
    with connection.transaction():
        connection.execute("INSERT INTO users (id, email, name) VALUES (%s, 'a@example.com', 'A')", [subject])
    use(service, "profile", subject, B)
    assert said(service, subject) == A
    use(service, "profile", subject, {"at": 0, **B})
    assert said(service, subject) == B
