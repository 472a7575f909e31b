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
    """The database cannot answer now. Nothing is known to have been written, and it is worth trying again."""
