from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llm_backends.hosted.matching import match_choice

_CHOICES = ("Check", "Check again", "Compute the sum", "Finish thinking")
_words = st.text(alphabet="abcdefghij", min_size=4, max_size=9)
_choices = st.lists(_words, min_size=2, max_size=6, unique=True).filter(
    lambda names: not any(a != b and a in b for a in names for b in names)
)
_decorations = st.sampled_from(
    [
        "{}",
        "  {}\n",
        '"{}"',
        "'{}'",
        "**{}**",
        "*{}*",
        "`{}`",
        "_{}_",
        "- {}",
        "1. {}",
        "2) {}",
        "# {}",
        "{}.",
        "**{}.**",
        "```\n{}\n```",
        "I would pick {}",
        "My answer: **{}**, because of it.",
    ]
)


@given(_choices, st.data())
def test_a_decorated_choice_is_that_choice(choices: list[str], data: st.DataObject) -> None:
    choice = data.draw(st.sampled_from(choices))
    outer, inner = data.draw(_decorations), data.draw(_decorations)
    assert match_choice(outer.format(choice), choices) == choice
    assert match_choice(inner.format(choice).upper(), choices) == choice


@given(_choices, st.data())
def test_a_choice_in_json_is_that_choice(choices: list[str], data: st.DataObject) -> None:
    choice = data.draw(st.sampled_from(choices))
    written = json.dumps({"choice": choice})
    assert match_choice(written, choices) == choice
    assert match_choice(f"```json\n{written}\n```", choices) == choice


@given(_choices, st.data())
def test_two_choices_are_no_choice(choices: list[str], data: st.DataObject) -> None:
    first, second = data.draw(st.permutations(choices))[:2]
    for reply in (f"{first} or {second}", f"{first}\n{second}", f"**{first}**, not {second}"):
        assert match_choice(reply, choices) is None


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True), st.text())
def test_what_is_matched_is_one_of_the_choices(choices: list[str], reply: str) -> None:
    assert match_choice(reply, choices) in (*choices, None)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True), st.data())
def test_every_choice_matches_itself(choices: list[str], data: st.DataObject) -> None:
    choice = data.draw(st.sampled_from(choices))
    assume(not choice.lstrip().startswith(("{", '"', "```")))  # could be read as JSON
    assert match_choice(choice, choices) == choice


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("check again", "Check again"),
        ("Check again, since it was wrong", "Check again"),
        ("Check, since it was wrong", "Check"),
        ("Comp", "Compute the sum"),
        ("Che", None),
        ("C", None),
        ("Fi", None),
        ("Checking", None),
        ("", None),
        ("I would not check", None),
        ("Something else", None),
        ('{"choice": "Something else"}', None),
        ('{"choice": 3}', None),
        ('{"choice": "check"}', "Check"),
        ("The next step:\n\n> Finish thinking", "Finish thinking"),
    ],
)
def test_replies(reply: str, expected: str | None) -> None:
    assert match_choice(reply, _CHOICES) == expected


def test_choices_that_differ_in_case_alone() -> None:
    assert match_choice("go", ("Go", "go")) == "go"
    assert match_choice("GO", ("Go", "go")) is None
    assert match_choice("I pick GO now", ("Go", "go")) is None
