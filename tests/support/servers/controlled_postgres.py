"""A PostgreSQL for tests in other languages.

It prints its address, and then obeys the lines `stop` and `start` on its standard input, printing each when it is done.
It ends with its input. `make web-test` uses it.
"""

import sys
import tempfile
from pathlib import Path

from tests.support.servers.postgres import Postgres
from tests.support.service import free_port


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tasks-api-web-") as directory:
        server = Postgres(Path(directory), free_port())
        actions = {"stop": server.stop, "start": server.start}
        server.start()
        try:
            say(server.url())
            for line in sys.stdin:
                actions[line.strip()]()
                say(line.strip())
        finally:
            server.stop()


if __name__ == "__main__":
    main()
