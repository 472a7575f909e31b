"""Read the rate limit fields of an answer, and make tokens that are refused."""

import itertools
import re
import uuid
from datetime import UTC, datetime, timedelta

import httpx2
import jwt

from tests.support.raw_http import problem
from tests.support.service import SECRET, Service

addresses = (f"198.51.{third}.{fourth}" for third, fourth in itertools.product(range(256), range(256)))
"""Client addresses that no test has used."""


def standing(answer: httpx2.Response) -> tuple[str, int, int]:
    """Return the policy, the remainder and the seconds to the reset, after checking the answer against the contract."""
    policy = re.fullmatch(r'"([0-9A-Za-z_-]+)";q=([0-9]+);w=([0-9]+)', answer.headers["ratelimit-policy"])
    left = re.fullmatch(r'"([0-9A-Za-z_-]+)";r=([0-9]+);t=([0-9]+)', answer.headers["ratelimit"])
    assert policy is not None
    assert left is not None
    assert policy[1] == left[1]
    assert int(left[2]) < int(policy[2])
    assert 1 <= int(left[3]) <= int(policy[3])
    return left[1], int(left[2]), int(left[3])


def assert_refused(service: Service, answer: httpx2.Response, policy: str) -> None:
    """Assert that an answer is a 429 of this policy."""
    problem(service, answer, "too-many-requests")
    name, remaining, seconds = standing(answer)
    assert (name, remaining) == (policy, 0)
    assert answer.headers["retry-after"] == str(seconds)


def expired() -> str:
    return jwt.encode({"sub": "ada", "exp": datetime.now(UTC) - timedelta(hours=1)}, SECRET, "HS256")


def forged() -> str:
    """A token that looks right until its signature is verified, and that was never sent before."""
    return jwt.encode(
        {"sub": uuid.uuid4().hex, "exp": datetime.now(UTC) + timedelta(hours=1)}, "another secret".ljust(32), "HS256"
    )


def keyless() -> str:
    """A token whose key cannot be fetched at the moment."""
    head, _, tail = forged().partition(".")
    assert head
    return f"eyJhbGciOiJFZERTQSIsImtpZCI6ImsxIn0.{tail}"


def metric(service: Service, name: str) -> float:
    text = service.client(**{"x-forwarded-for": next(addresses)}).get("/metrics").text
    (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE) or ["0"]
    return float(value)
