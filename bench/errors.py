"""What stops a measurement."""


class BenchmarkError(Exception):
    """A measurement cannot go on. The message is one sentence for whoever started it."""
