"""Types that the tests share."""

from collections.abc import Callable
from typing import Any

import httpx2
import psycopg

Json = dict[str, Any]
Owner = tuple[str, httpx2.Client]
"""A user's id and a client with a token of that user."""
NewUser = Callable[[str], str]
"""The fixture `new_user`: makes an unused user id that begins with the given name."""
Connection = psycopg.Connection[Any]
Call = Callable[[httpx2.Client], httpx2.Response]
"""One request that is made with the given client."""
