"""Two users, one of whom imports the other's export."""

import pytest

from tests.support.api import TasksApi, both_apis
from tests.support.types import Owner


@pytest.fixture
def here(ada: Owner) -> TasksApi:
    """Ada's tasks."""
    return both_apis(*ada)[1]


@pytest.fixture
def there(bob: Owner) -> TasksApi:
    """Bob's."""
    return both_apis(*bob)[1]
