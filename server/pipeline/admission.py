"""Admission control: what the requests of one process may hold at once, and how much of it one user may."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, Self

from server.middleware.request_limits import BYTES_PER_SECOND
from server.problems import SERVICE_UNAVAILABLE, TOO_MANY_REQUESTS, Kind, Problem
from server.request_context import RequestContext

SLOW_SECONDS: Final = 2.0
"""A client that is more than this behind `BYTES_PER_SECOND` is slow."""

_TOO_MANY_OF_ONE_USER: Final = "The user has too many of these requests in progress. Try again later."


class Budget:
    """A number of bytes or of slots that the requests of a process share.

    If too little is left for a request, requests of slow clients end, those that hold most first. If that does not make
    enough room, the request gets 429 when its user holds too much, and 503 when all users together do. A limit does not
    apply to a request that is the only one.
    """

    def __init__(self, *, total: int, per_user: int) -> None:
        self._total = total
        self._per_user = per_user
        self._shares: set[Share] = set()
        self._held: Counter[str] = Counter()
        self._held_by_all = 0

    def add(self, share: "Share", amount: int) -> None:
        """Allocate more to a share. Raises `Problem` (429, 503)."""
        others = self._held[share.user] - share.amount
        if others and others + share.amount + amount > self._per_user:
            self._make_room(
                others + share.amount + amount - self._per_user,
                (one for one in self._shares if one.user == share.user),
                TOO_MANY_REQUESTS,
            )
        others = self._held_by_all - share.amount
        if others and self._held_by_all + amount > self._total:
            self._make_room(self._held_by_all + amount - self._total, self._shares, SERVICE_UNAVAILABLE)
        self._shares.add(share)
        self._change(share, amount)

    def reduce(self, share: "Share", amount: int) -> None:
        """Release what a share holds beyond this amount."""
        self._change(share, min(0, amount - share.amount))

    def remove(self, share: "Share") -> None:
        """Release everything that a share holds."""
        self._shares.discard(share)
        self._change(share, -share.amount)

    def _change(self, share: "Share", amount: int) -> None:
        share.amount += amount
        self._held_by_all += amount
        self._held[share.user] += amount
        if not self._held[share.user]:
            del self._held[share.user]

    @staticmethod
    def _make_room(needed: int, shares: "Iterable[Share]", kind: Kind) -> None:
        now = time.monotonic()
        slow = sorted((share for share in shares if share.due < now), key=lambda share: (-share.amount, share.due))
        if sum(share.amount for share in slow) < needed:
            raise Problem(kind, _TOO_MANY_OF_ONE_USER if kind is TOO_MANY_REQUESTS else None)
        for share in slow:
            if needed > 0:
                needed -= share.amount
                share.give_up()


class Share:
    """The part of a budget that one request holds, until the block ends.

    `end` is called when another request needs the share, and must end this request.
    """

    def __init__(self, budget: Budget, user: str, end: Callable[[], None] | None = None) -> None:
        self.user = user
        self.amount = 0
        self.due = math.inf
        """The time at which the client becomes slow, by `time.monotonic()`. Infinite while nothing waits for it."""
        self._budget = budget
        self._end = end

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.remove(self)

    def take(self, amount: int) -> None:
        """Allocate more. Raises `Problem` (429, 503)."""
        self._budget.add(self, amount)

    def reduce(self, amount: int) -> None:
        """Release what is held beyond this amount."""
        self._budget.reduce(self, amount)

    def wait_for_client(self, moved: int = 0) -> None:
        """Start or continue to wait for the client, which has just sent or read `moved` bytes.

        They extend its deadline, to `SLOW_SECONDS` from now at most.
        """
        now = time.monotonic()
        earned = max(self.due, now) + moved / BYTES_PER_SECOND
        self.due = min(earned, now + SLOW_SECONDS)

    def wait_no_longer(self) -> None:
        """Stop waiting for the client: the service is working on the request."""
        self.due = math.inf

    def give_up(self) -> None:
        """Release what is held, and end the request."""
        self._budget.remove(self)
        self.wait_no_longer()
        if self._end is not None:
            self._end()


def limited_user(request: RequestContext) -> str:
    """The user whose limit applies. All requests without a token have one limit together."""
    return request.user.id if request.user is not None else ""
