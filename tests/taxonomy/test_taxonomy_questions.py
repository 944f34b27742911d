import asyncio
from collections.abc import Callable

from llm_backends import Message, Request, Sampling
from llm_backends.errors import AuthenticationError, BackendError, ServerError
from llm_backends.scripted import ScriptedBackend
from taxonomy.questions import all_answers

AT_ONCE = 4


def ask(fails: Callable[[int], BackendError | None]) -> tuple[int, list[str] | BackendError]:
    """Calls that 300 questions took, which fail for good where told to; and what came of it."""

    def reply(request: Request) -> str:
        error = fails(int(request.messages[0].content))
        if error is not None:
            raise error
        return request.messages[0].content

    backend = ScriptedBackend(reply, max_retries=0, delay_s=0.001)

    async def text(number: int) -> str:
        return (await backend.complete(Request((Message("user", str(number)),), Sampling()))).text

    found: list[str] | BackendError
    try:
        found = asyncio.run(all_answers(map(text, range(300)), at_once=AT_ONCE))
    except BackendError as error:
        found = error
    return backend.calls, found


def test_answers_come_in_order() -> None:
    assert ask(lambda number: None) == (300, [str(number) for number in range(300)])


def test_an_error_that_would_come_again_ends_it_at_once() -> None:
    calls, found = ask(lambda number: AuthenticationError("no key"))
    assert isinstance(found, AuthenticationError)
    assert calls == AT_ONCE


def test_a_server_that_died_is_not_asked_all_the_rest() -> None:
    calls, found = ask(lambda number: ServerError(f"down at {number}") if number >= 10 else None)
    assert isinstance(found, ServerError)
    assert "down at 10" in str(found)
    assert calls <= 10 + 3 + AT_ONCE


def test_failures_apart_do_not_keep_the_others_from_being_answered() -> None:
    calls, found = ask(lambda number: ServerError(f"busy at {number}") if number % 10 == 0 else None)
    assert "busy at 0" in str(found)
    assert calls == 300
