"""The benchmark: the service, the baselines and the peers do the same work. See README.md here."""


class BenchmarkError(Exception):
    """A measurement cannot go on, or a contender responds incorrectly. The message is one sentence."""
