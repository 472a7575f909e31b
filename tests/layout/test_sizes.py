"""Sizes: lines of a module, modules of a folder, and letters of a test's name."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.layout.sources import PACKAGES, modules
from tests.support.service import ROOT

MOST_LINES = 350
MOST_MODULES = 12
MOST_LETTERS = 60

ALL = modules(*PACKAGES)


def test_no_module_is_longer_than_350_lines() -> None:
    lengths = {str(module): len((ROOT / module).read_text().splitlines()) for module in ALL}
    assert {module: lines for module, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_folder_has_more_than_twelve_modules() -> None:
    """`__init__.py` and `__main__.py`, whose names Python fixes, are not counted."""
    sizes = Counter(str(module.parent) for module in ALL if not module.name.startswith("__"))
    assert {folder: size for folder, size in sizes.items() if size > MOST_MODULES} == {}


@pytest.mark.parametrize("module", [path for path in ALL if path.name.startswith("test_")], ids=str)
def test_names_of_tests_have_at_most_60_letters(module: Path) -> None:
    """Longer descriptions stand in the docstring or in the ids."""
    tree = ast.parse((ROOT / module).read_text())
    names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [name for name in names if name.startswith("test_") and len(name) > MOST_LETTERS] == []
