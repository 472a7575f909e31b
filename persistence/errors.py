"""What can go wrong with kept data, in this room's words.

PersistenceError
├── TaskNotFound
├── InvalidCursor
└── DatabaseUnavailable
"""


class PersistenceError(Exception):
    """The base of every error that this room raises on purpose."""


class TaskNotFound(PersistenceError):
    """The owner has no such task. Whether somebody else has one is never looked at."""


class InvalidCursor(PersistenceError):
    """The cursor was not made by this service for the given sort order."""


class DatabaseUnavailable(PersistenceError):
    """The database cannot answer now; nothing is known to have been written. Worth trying again.

    `retry_after` is in seconds (RFC 9110, section 10.2.3).
    """

    def __init__(self, reason: str, *, retry_after: int = 1) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
