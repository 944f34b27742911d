"""The rules one by one, at each bound."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from played_back import WORDS, Words

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.training.explorers import EntropyTreeSettings, LinearSettings
from hierarchical_reasoning.training.explorers.split_rules import (
    alternative,
    coverage_cut,
    is_split,
    topk_entropy,
)

SETTINGS = EntropyTreeSettings(
    max_depth=3, min_segment_len=4, entropy_threshold=1.0, coverage_min_chars=5, coverage_children_max=2
)
SURE = ((4, 0.0),)
TOKENS = (5, 6, 7, 1, 8, 9)
"""Four tokens, the last of which is a full stop, and two more."""


def even(n: int) -> tuple[tuple[int, float], ...]:
    """n tokens of equal probability: log n nats."""
    return tuple((token, -math.log(n)) for token in range(4, 4 + n))


def ends_in_delimiter(token: int) -> bool:
    return WORDS[token].endswith(SETTINGS.delimiters)


def splits(
    tokens: tuple[int, ...] = TOKENS,
    at: int = 4,
    start: int = 0,
    depth: int = 1,
    top: tuple[tuple[int, float], ...] = even(5),
    settings: EntropyTreeSettings = SETTINGS,
) -> bool:
    return is_split(
        tokens,
        at,
        start=start,
        depth=depth,
        top=top,
        settings=settings,
        ends_in_delimiter=ends_in_delimiter,
    )


def test_all_conditions_hold_and_each_alone_prevents_a_split() -> None:
    assert splits()
    assert not splits(at=5), "no delimiter before"
    assert not splits(tokens=(5, 6, 7, 1, 2, 9)), "the token itself ends in a delimiter"
    assert not splits(top=SURE), "the model is sure"


def test_depth_is_below_its_bound() -> None:
    assert splits(depth=2)
    assert not splits(depth=3)


def test_a_segment_has_its_least_length() -> None:
    assert splits(start=0, settings=replace(SETTINGS, min_segment_len=4))
    assert not splits(start=0, settings=replace(SETTINGS, min_segment_len=5))
    assert splits(start=1, settings=replace(SETTINGS, min_segment_len=3))
    assert not splits(start=2, settings=replace(SETTINGS, min_segment_len=3))


def test_entropy_exceeds_the_threshold() -> None:
    exactly = topk_entropy(even(4))
    assert not splits(top=even(4), settings=replace(SETTINGS, entropy_threshold=exactly))
    assert splits(top=even(4), settings=replace(SETTINGS, entropy_threshold=math.nextafter(exactly, 0)))


def test_entropy_is_that_of_the_likeliest_alone() -> None:
    assert not splits(top=even(5), settings=replace(SETTINGS, entropy_topk=2)), "ln 2 nats"
    halves = ((4, math.log(0.2)), (5, math.log(0.2)))
    assert topk_entropy(halves) == pytest.approx(math.log(2)), "renormalised"
    assert topk_entropy(((4, 0.0), (5, -math.inf))) == 0
    assert topk_entropy(()) == 0


def test_alternatives_are_the_others_in_proportion() -> None:
    top = ((4, math.log(0.5)), (5, math.log(0.3)), (6, math.log(0.1)), (7, -math.inf))
    drawn = [alternative(top, 4, 1.0, (index + 0.5) / 1000) for index in range(1000)]
    assert drawn.count(5) == 750
    assert drawn.count(6) == 250
    tempered = [alternative(top, 4, 0.5, (index + 0.5) / 1000) for index in range(1000)]
    assert tempered.count(5) == 900, "9 to 1: squares"
    assert alternative(top, 4, 0.0, 0.999) == 5
    assert alternative(top, 9, 0.0, 0.5) == 4, "the token drawn need not be among the likeliest"
    assert alternative(SURE, 4, 1.0, 0.5) is None
    assert alternative(((4, 0.0), (7, -math.inf)), 4, 1.0, 0.5) is None


@given(
    st.lists(st.floats(-40, 0), min_size=2, max_size=20),
    st.floats(0, 5),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 19),
)
def test_an_alternative_is_another_of_the_likeliest(
    log_probs: list[float], temperature: float, uniform: float, drawn: int
) -> None:
    top = tuple(enumerate(log_probs))
    assert alternative(top, drawn, temperature, uniform) in set(range(len(top))) - {drawn}
    assert 0 <= topk_entropy(top) <= math.log(len(top)) + 1e-9


def cut(tokens: tuple[int, ...], **settings: int) -> int | None:
    return coverage_cut(tokens, replace(SETTINGS, **settings), Words().text, ends_in_delimiter)  # type: ignore[arg-type]


def test_a_finished_segment_is_cut_back_at_the_last_delimiter_that_leaves_enough() -> None:
    tokens = (5, 6, 7, 1, 8, 8, 1, 9, 9, 9, 9, 9)
    assert cut(tokens) == 7, "five characters are behind the second full stop"
    assert cut(tokens, coverage_min_chars=6) == 4
    assert cut(tokens, coverage_min_chars=8) == 4
    assert cut(tokens, coverage_min_chars=9) is None
    assert cut(tokens, coverage_children_max=0) is None


def test_what_stays_has_its_least_number_of_characters() -> None:
    tokens = (5, 6, 7, 1, 8, 8, 8, 8, 8)
    assert cut(tokens, min_segment_len=4) == 4
    assert cut(tokens, min_segment_len=5) is None
    assert cut((5, 3, 8, 8, 8, 8, 8), min_segment_len=3) == 2, "characters, not tokens"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_depth", 0),
        ("min_segment_len", 0),
        ("entropy_topk", 1),
        ("coverage_min_chars", 0),
        ("coverage_children_max", -1),
        ("max_new_tokens", 1),
        ("max_answer_tokens", 1),
        ("entropy_threshold", -0.1),
        ("entropy_threshold", math.nan),
    ],
)
def test_settings_that_cannot_be_say_what_is_allowed(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"{name} is {value}; it must be .*\(--{name}\)"):
        EntropyTreeSettings(**{name: value})  # type: ignore[arg-type]


def test_delimiters_are_strings() -> None:
    for delimiters in ((), ("",), ".?"):
        with pytest.raises(ConfigError, match="delimiters are"):
            EntropyTreeSettings(delimiters=delimiters)  # type: ignore[arg-type]


def test_an_answer_is_at_most_two_streams_long_unless_said() -> None:
    assert EntropyTreeSettings(max_new_tokens=1300).answer_tokens == 2600
    assert EntropyTreeSettings(max_answer_tokens=70).answer_tokens == 70


def test_linear_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"n_rollouts is 0; .*\(--num_rollouts_per_prompt\)"):
        LinearSettings(n_rollouts=0)
