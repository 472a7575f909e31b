"""The parts of the results. Each is measured by one function, from the options of the command line."""

from typing import NamedTuple


class Options(NamedTuple):
    """The options of `python -m bench measure`; `contender` and `operation` are empty for all."""

    rounds: int
    seconds: float
    tasks: int
    contender: tuple[str, ...]
    operation: tuple[str, ...]
