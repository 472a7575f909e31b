"""Content that is generated while it is sent."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from server.formats.records import Page, RecordFormat

Check = Callable[[Page], None]
"""Raises an exception if the page must not be sent."""


class Stream:
    """Records that are read, checked and written page by page, each when the client has read the one before.

    This is no generator because that would keep each page in memory until the next.
    """

    def __init__(
        self, pages: AsyncIterator[Sequence[Mapping[str, Any]]], record_format: RecordFormat, names: Sequence[str]
    ) -> None:
        self._pages = pages
        self._format = record_format
        self._names = names
        self._checks: list[Check] = []
        self._is_first = True
        self._is_over = False

    def add_check(self, check: Check) -> None:
        """Check each page before it is written."""
        self._checks.append(check)

    async def next_part(self) -> bytes | None:
        """The next part of the content; None after the last. Raises what reading a page and the checks raise."""
        if self._is_over:
            return None
        rows = await anext(self._pages, None)
        if rows is None:
            self._is_over = True
            return self._format.end or None
        page = Page(rows)
        for check in self._checks:
            check(page)
        is_first, self._is_first = self._is_first, False
        return self._format.write(page, self._names, first=is_first)
