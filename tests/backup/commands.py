"""The commands `backup` and `restore`, and the contents of a database."""

import contextlib
import hashlib
import itertools
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg

from persistence.admin.embedded import embedded_server
from persistence.schema import metadata
from tests.support.service import MEASURED, ROOT, SECRET, Service

SECONDS = 60
TITLES = [
    "Buy milk",
    "Éclairs",
    "eclairs",
    "牛乳を買う 🥛",
    "a\ttab, a\nline, a\rreturn",
    r"\N and \. and \\",
    "'; DROP TABLE tasks; --",
    "\u202eright to left",
    "x" * 200,
]


def start_command(
    *arguments: str | Path, cwd: Path, limit: int | None = None, **environment: str
) -> subprocess.Popen[str]:
    def prepare() -> None:
        # It is ignored by whatever a shell has started in the background.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    # The measurement of coverage would want to write, too.
    measured = MEASURED if limit is None else {}
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "server", *map(str, arguments)],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "BETTER_AUTH_SECRET": SECRET, **measured}
        | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=prepare,  # noqa: PLW1509
    )


def run_command(
    *arguments: str | Path, cwd: Path, limit: int | None = None, **environment: str
) -> tuple[int, str, str]:
    with start_command(*arguments, cwd=cwd, limit=limit, **environment) as process:
        output, errors = process.communicate(timeout=SECONDS)
    return process.returncode, output, errors


def succeed(*arguments: str | Path, cwd: Path, **environment: str) -> str:
    status, output, errors = run_command(*arguments, cwd=cwd, limit=None, **environment)
    assert (status, errors) == (0, "")
    return output


def refuse(*arguments: str | Path, cwd: Path, limit: int | None = None, **environment: str) -> str:
    """Run a command that must fail, and return its one-sentence message."""
    status, output, errors = run_command(*arguments, cwd=cwd, limit=limit, **environment)
    assert (status, output) == (2, ""), errors
    assert re.fullmatch(r"Error: .+\n", errors)
    return errors


def kept_rows(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table in the schema, in a fixed order."""
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        return {
            name: sorted(connection.execute(f"SELECT * FROM {name}".encode()).fetchall(), key=repr)  # noqa: S608
            for (name,) in tables
        }


def relations(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "UNION SELECT proname, 'f' FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
        ).fetchall()


def fill(url: str, count: int = 3) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO users (id) VALUES ('ada') ON CONFLICT DO NOTHING")
        connection.execute(
            "INSERT INTO tasks (user_id, id, title, title_key, description) SELECT 'ada', gen_random_uuid(), "
            "'Task ' || n, decode(md5(n::text), 'hex'), md5(random()::text) FROM generate_series(1, %s) n",
            [count],
        )


def use(service: Service) -> None:
    """Create an example of everything that a user can create."""
    for name in ("ada", "Ünal 🦊"):
        client = service.as_user(name, email="a@example.com", name="Ada \\ 'Lovelace'")
        for number, title in enumerate(TITLES):
            task = {"title": title, "description": title * 3 if number % 2 else None, "completed": number % 3 == 0}
            created = client.post("/api/tasks", json=task, headers={"idempotency-key": f"key-{number}"})
            assert created.status_code == httpx2.codes.CREATED
        last = created.headers["location"]
        assert client.delete(last).status_code == httpx2.codes.NO_CONTENT
        restored = client.post(f"{last}/restore", headers={"idempotency-key": "restored"})
        assert restored.status_code == httpx2.codes.OK
        assert client.delete(last).status_code == httpx2.codes.NO_CONTENT


def seen_by_users(service: Service) -> dict[str, Any]:
    """Return everything that users can read: all lists in all orders, page by page, and profiles."""
    seen = {}
    for name in ("ada", "Ünal 🦊"):
        client = service.as_user(name, email="a@example.com", name="Ada \\ 'Lovelace'")
        seen[name] = client.get("/api/tasks?limit=1").headers["link"]
        for sort, status in itertools.product(("created", "title", "-updated"), ("all", "pending", "trashed")):
            path: str | None = f"/api/tasks?sort={sort}&status={status}&limit=4"
            while path is not None:
                page = client.get(path)
                assert page.status_code == httpx2.codes.OK
                seen[f"{name} {path}"] = page.json()
                path = page.links.get("next", {}).get("url")
    return seen


@contextlib.contextmanager
def place(kind: str, directory: Path, remote: str) -> Iterator[dict[str, str]]:
    """The settings of a command or a service with its database there."""
    directory.mkdir()
    data = str(directory / "data")
    yield {"DATA_DIR": data} if kind == "embedded" else {"DATA_DIR": data, "DATABASE_URL": remote}


def rows_in(place: dict[str, str]) -> dict[str, list[tuple[Any, ...]]]:
    if "DATABASE_URL" in place:
        return kept_rows(place["DATABASE_URL"])
    with embedded_server(Path(place["DATA_DIR"]) / "postgres") as url:
        return kept_rows(url)


def counts(kept: dict[str, list[tuple[Any, ...]]]) -> str:
    return ", ".join(f"{len(kept[table.name])} {table.name}" for table in metadata.sorted_tables)


def sealed(content: bytes, **changes: Any) -> bytes:
    """A backup of this content with another manifest, and a last line that fits it."""
    archive, told, _ = content.rsplit(b"\n", 3)[:3]
    manifest = json.dumps(json.loads(told) | changes).encode()
    sealed = archive + b"\n" + manifest + b"\n"
    line = f"tasks-api backup 1 {len(manifest) + 2:08} {hashlib.sha256(sealed).hexdigest()}\n"
    return sealed + line.encode()


# Interrupted backups.


def parts(directory: Path) -> list[Path]:
    return list(directory.glob(".*.part"))
