"""Operations that are tried again and again as a person would, and what became of them."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client.core import Metric

from controlplane.errors import BicError
from controlplane.exporter.families import Family

RESULTS = ("success", "failure")


class Attempts:
    """Counts the attempts of some operations since the exporter began."""

    def __init__(self, *operations: str) -> None:
        """Know the operations; each has samples from the beginning: its first failure is an increase."""
        self._operations = operations
        self._results: Counter[tuple[str, str]] = Counter()
        self._seconds: dict[str, float] = {}
        self._success: dict[str, float] = {}

    @contextmanager
    def attempt(self, operation: str) -> Iterator[None]:
        """Count what happens within; the error of a failure goes on."""
        begun = time.monotonic()
        try:
            yield
        except BicError:
            self.fail(operation)
            raise
        self._results[operation, "success"] += 1
        self._seconds[operation] = time.monotonic() - begun
        self._success[operation] = time.time()

    def fail(self, operation: str) -> None:
        """Count a failure: also of what could not even be tried, since nobody else could."""
        self._results[operation, "failure"] += 1

    def metrics(
        self, total: Family, duration: Family, success: Family, labels: Sequence[str] = ()
    ) -> Iterator[Metric]:
        """The counts, the seconds of each latest success, and when it was.

        `labels` are the values of the families' labels before `operation`.
        """
        yield total.of(
            ([*labels, operation, result], self._results[operation, result])
            for operation in self._operations
            for result in RESULTS
        )
        yield duration.of(([*labels, operation], seconds) for operation, seconds in self._seconds.items())
        yield success.of(([*labels, operation], at) for operation, at in self._success.items())
