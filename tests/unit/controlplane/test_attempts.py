"""When a call is made again, and when a server counts as gone."""

from collections.abc import Callable

import pytest

from controlplane.reconcile.port import SystemDownError
from controlplane.systems import attempts
from controlplane.systems.attempts import ClosedError, Outage, ServerError, patiently

LOST = ServerError("lost", transient=True)
REFUSED = ServerError("refused")
CLOSED = ClosedError("closed")


class Server:
    """Answers each call with the next of its errors, or `done` when it is None; so it does when asked."""

    def __init__(self, *errors: ServerError | None, answers: bool = True) -> None:
        self.errors = list(errors)
        self.answers = answers
        self.calls = 0

    def call(self) -> str:
        self.calls += 1
        if error := self.errors.pop(0):
            raise error
        return "done"

    def ask(self) -> None:
        if not self.answers:
            raise LOST


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "LONGEST_WAIT", 0.01)


def raised(call: Callable[[], object]) -> str:
    with pytest.raises(ServerError) as caught:
        call()
    return str(caught.value)


def test_what_is_lost_is_tried_again_until_it_is_done() -> None:
    server = Server(LOST, LOST, None)
    assert patiently(server.call, 60) == "done"
    assert server.calls == 3


@pytest.mark.parametrize(("errors", "seconds"), [((REFUSED,), 60), ((LOST,), 0), ((LOST, REFUSED), 60)])
def test_what_is_refused_or_has_no_time_is_not_tried_again(
    errors: tuple[ServerError, ...], seconds: float
) -> None:
    server = Server(*errors)
    assert raised(lambda: patiently(server.call, seconds)) == str(errors[-1])
    assert server.calls == len(errors)


def test_the_last_error_is_told_when_the_time_is_over() -> None:
    server = Server(*[LOST] * 10_000)
    assert raised(lambda: patiently(server.call, 0.05)) == "lost"
    assert server.calls > 1


@pytest.mark.parametrize(("error", "answers"), [(CLOSED, True), (LOST, False)])
def test_a_server_that_is_gone_is_not_called_any_more(error: ServerError, *, answers: bool) -> None:
    server = Server(error, None, answers=answers)
    outage = Outage(server.ask)
    for _ in range(2):
        with pytest.raises(SystemDownError, match=f"^{error}$"):
            outage.watch(server.call)
    assert server.calls == 1
    assert outage


@pytest.mark.parametrize("error", [REFUSED, LOST])
def test_a_call_that_fails_at_a_server_that_answers_stands_alone(error: ServerError) -> None:
    server = Server(error, None)
    outage = Outage(server.ask)
    assert raised(lambda: outage.watch(server.call)) == str(error)
    assert not outage
    assert outage.watch(server.call) == "done"
