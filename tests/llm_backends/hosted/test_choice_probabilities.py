"""Hand-computed."""

from __future__ import annotations

import math

import pytest

from llm_backends.hosted.probabilities import choice_probabilities
from llm_backends.types import TokenLogprob


def place(taken: str, **others: float) -> TokenLogprob:
    """A token and its alternatives with their probabilities; the taken one is among them."""
    return listed(taken, dict(others))


def listed(taken: str, probabilities: dict[str, float]) -> TokenLogprob:
    top = tuple((text, math.log(p)) for text, p in sorted(probabilities.items(), key=lambda item: -item[1]))
    return TokenLogprob(taken, math.log(probabilities[taken]), top)


def told(
    tokens: list[TokenLogprob],
    choices: tuple[str, ...],
    chosen: str,
    *,
    content: str | None = None,
    as_json: bool = False,
    constrained: bool = True,
) -> dict[str, float] | None:
    found = choice_probabilities(
        tokens,
        chosen if content is None else content,
        choices,
        chosen,
        as_json=as_json,
        constrained=constrained,
    )
    return None if found is None else dict(found)


def test_choices_that_part_at_the_first_token() -> None:
    tokens = [place("Go", Go=0.3, Stop=0.1, x=0.6)]
    assert told(tokens, ("Go", "Stop"), "Go") == pytest.approx({"Go": 0.75, "Stop": 0.25})


def test_choices_that_share_their_first_token() -> None:
    tokens = [
        listed("Ch", {"Ch": 0.6, "Go": 0.2, "x": 0.2}),
        listed("eck", {"eck": 0.5, "ase": 0.3, "x": 0.2}),
    ]
    expected = {"Check": 0.75 * 0.625, "Chase": 0.75 * 0.375, "Go": 0.25}
    assert told(tokens, ("Check", "Chase", "Go"), "Check") == pytest.approx(expected)


def test_choices_that_share_a_token_that_was_not_taken_are_left_out() -> None:
    tokens = [listed("Go", {"Go": 0.5, "Ch": 0.5})]
    assert told(tokens, ("Check", "Chase", "Go"), "Go") == pytest.approx({"Go": 0.5})


def test_several_first_tokens_of_one_choice_add_up() -> None:
    tokens = [listed("Check", {"Check": 0.4, "Che": 0.1, "Go": 0.5})]
    assert told(tokens, ("Check", "Go"), "Check") == pytest.approx({"Check": 0.5, "Go": 0.5})


def test_the_end_of_the_turn_stands_for_a_choice_that_another_continues() -> None:
    tokens = [
        listed("Check", {"Check": 1.0}),
        listed("<|im_end|>", {"<|im_end|>": 0.2, " again": 0.6, "\n": 0.2}),
    ]
    choices = ("Check", "Check again")
    assert told(tokens, choices, "Check") == pytest.approx({"Check": 0.25, "Check again": 0.75})
    in_words = told(tokens, choices, "Check", constrained=False)
    assert in_words == pytest.approx({"Check": 0.4, "Check again": 0.6})


def test_a_choice_that_another_continues_is_not_known_without_its_end() -> None:
    assert told([listed("Check", {"Check": 1.0})], ("Check", "Check again"), "Check") is None


def test_in_json_the_part_before_the_value_is_skipped() -> None:
    tokens = [
        listed('{"', {'{"': 1.0}),
        listed("choice", {"choice": 0.5, "Go": 0.5}),
        listed('":"', {'":"': 1.0}),
        listed("Go", {"Go": 0.8, "Stop": 0.2}),
        listed('"}', {'"}': 1.0}),
    ]
    found = told(tokens, ("Go", "Stop"), "Go", content='{"choice":"Go"}', as_json=True)
    assert found == pytest.approx({"Go": 0.8, "Stop": 0.2})


def test_in_json_a_token_may_hold_the_quote_and_the_choice() -> None:
    tokens = [
        listed('{"choice":', {'{"choice":': 1.0}),
        listed(' "Check', {' "Check': 0.6, ' "Go': 0.3, ' "x': 0.1}),
        listed('"', {'"': 0.5, " again": 0.5}),
        listed("}", {"}": 1.0}),
    ]
    choices = ("Check", "Check again", "Go")
    found = told(tokens, choices, "Check", content='{"choice": "Check"}', as_json=True)
    assert found == pytest.approx({"Check": 1 / 3, "Check again": 1 / 3, "Go": 1 / 3})


def test_reasoning_before_the_reply_is_skipped() -> None:
    tokens = [
        listed("Go", {"Go": 1.0}),
        listed("</think>", {"</think>": 1.0}),
        listed("Stop", {"Stop": 0.9, "Go": 0.1}),
    ]
    assert told(tokens, ("Go", "Stop"), "Stop") == pytest.approx({"Go": 0.1, "Stop": 0.9})


def test_a_single_choice_is_certain() -> None:
    assert told([listed("Go", {"Go": 0.1, "x": 0.9})], ("Go",), "Go") == {"Go": 1.0}


def test_tokens_that_show_as_the_same_text_add_up() -> None:
    end = TokenLogprob("", math.log(0.5), (("", math.log(0.5)), (" again", math.log(0.5)), ("", -9999.0)))
    found = told([listed("Check", {"Check": 1.0}), end], ("Check", "Check again"), "Check")
    assert found == pytest.approx({"Check": 0.5, "Check again": 0.5})


@pytest.mark.parametrize(
    ("tokens", "content"),
    [
        ([listed("Other", {"Other": 1.0})], "Go"),
        ([], "Go"),
        ([listed("Go", {"Go": 1.0}), listed(" Go", {" Go": 1.0})], "Go Go"),
        # The other choice may be as likely as the last alternative that is listed.
        ([listed("Go", {"Go": 0.1, "x": 0.1})], "Go"),
    ],
)
def test_what_is_not_consistent_is_not_told(tokens: list[TokenLogprob], content: str) -> None:
    assert told(tokens, ("Go", "Stop"), "Go", content=content) is None
