"""Releases of the service: copies of the checkout with another version, column and migrations."""

import shutil
from pathlib import Path

from persistence import migrations
from tests.support.document import AUTHORED, DOCUMENT
from tests.support.service import ROOT

_PACKAGES = ("handlers", "openapi", "persistence", "server")
_COLUMN = '    Column("completed", Boolean, nullable=False, server_default=text("false")),\n'
_COLOUR = '    Column("colour", Text),\n'
_PRIORITY = '    Column("priority", Text, nullable=False, server_default=text("\'none\'")),\n'

_MIGRATION = """\
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.{upgrade}


def downgrade() -> None:
    op.{downgrade}
"""
_ADD_COLOUR = 'add_column("tasks", sa.Column("colour", sa.Text))'
_DROP_COLOUR = 'drop_column("tasks", "colour")'
_ADD_PRIORITY = (
    'add_column("tasks", sa.Column("priority", sa.Text, server_default=sa.text("\'none\'"), nullable=False))'
)
_DROP_PRIORITY = 'drop_column("tasks", "priority")'


def releases(directory: Path) -> tuple[Path, Path, Path]:
    """Return the folders of three releases, which can be on PYTHONPATH.

    2.0.0 replaces the column `colour` of 1.0.0 by `priority`: its migration adds the new column (expand), and that of
    3.0.0, whose code is the same, drops the old one (contract).
    """
    steps = [("expand_1", _ADD_COLOUR, _DROP_COLOUR), ("expand_2", _ADD_PRIORITY, _DROP_PRIORITY)]
    contract = ("contract_3", _DROP_COLOUR, _ADD_COLOUR)
    return (
        _release(directory / "1", "1.0.0", _COLOUR, steps[:1]),
        _release(directory / "2", "2.0.0", _PRIORITY, steps),
        _release(directory / "3", "3.0.0", _PRIORITY, [*steps, contract]),
    )


def _release(directory: Path, version: str, column: str, steps: list[tuple[str, str, str]]) -> Path:
    for package in _PACKAGES:
        shutil.copytree(
            ROOT / package, directory / package, ignore=shutil.ignore_patterns("node_modules", "__pycache__")
        )
    authored = f"  version: {DOCUMENT['info']['version']}\n"
    _write(directory / "openapi/openapi.yaml", AUTHORED.read_text().replace(authored, f"  version: {version}\n", 1))
    schema = directory / "persistence/schema.py"
    _write(schema, schema.read_text().replace(_COLUMN, _COLUMN + column, 1))
    # The service keeps the column to itself, so that the contract stays as it is.
    visible = directory / "persistence/tasks.py"
    _write(
        visible,
        visible.read_text().replace('("title_key", "deleted_at")', '("title_key", "deleted_at", "colour", "priority")'),
    )
    before = migrations.head()
    for revision, upgrade, downgrade in steps:
        text = _MIGRATION.format(revision=revision, before=before, upgrade=upgrade, downgrade=downgrade)
        (directory / "persistence/migrations/versions" / f"{revision}.py").write_text(text)
        before = revision
    return directory


def _write(file: Path, text: str) -> None:
    assert text != file.read_text(), f"nothing was replaced in {file.name}"
    file.write_text(text)
