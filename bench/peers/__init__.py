"""The peers and the baselines: one module each, and a directory for the peer in JavaScript.

Each serves the six operations under `/api/{user_id}/tasks` on the tables of the service's migrations. They require a
row of every user in `users` and a default for `tasks.title_key`; `bench.database` provides both.
"""

import json
from pathlib import Path
from typing import Final

STATEMENTS: Final[dict[str, str]] = json.loads(Path(__file__).with_name("statements.json").read_text())
"""The SQL of the peers that do not use an ORM, by operation; a list has one statement for each `status`."""
