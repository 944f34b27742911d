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
        "My answer: **{}**",
        "**Answer:** {}",
        "Some thought comes first.\n\n{}",
        "Some thought comes first. So I'd go with {}",
    ]
)
_frames = st.sampled_from(
    [
        "I choose {}",
        "I would pick {}.",
        "I'd go with {}",
        "I\u2019ll take {}.",
        "I will select **{}**.",
        "So we pick: {}",
        'Let\'s go with "{}".',
        "Next: {}",
        "Answer: {}",
        "The answer is {}.",
        "The next step is {}.",
        "**Next step:** {}",
        "The best next step would be: {}",
        "My choice is\n{}",
        "Option: {}",
        "The next step:\n\n> {}",
        "My answer:\n```\n{}\n```",
        "- a\n- b\nAnswer: {}",
        'It is wrong.\n{{"choice": "{}"}}',
    ]
)
_no_decisions = st.sampled_from(
    [
        "I would avoid {}",
        "Skip {}",
        "I am unable to do {}",
        "Hardly {}",
        "{} was already done.",
        "{}, since it was wrong",
        "{}?",
        "Next: {}?",
        "I choose {} if it helps",
        "I would not choose {}",
        "I choose not {}",
        "I choose neither {}",
        "The next step is not {}",
        "Is the answer {}",
        "If it were odd, I would choose {}",
        "I cannot see why\nI would choose {}",
        "What I would avoid:\n{}",
        "What I would avoid:\n\n- {}",
        "I would avoid\n{}",
        "What I would avoid:\nAnswer: {}",
        "What I would avoid:\n- {}.\n\n- {}.",
        "{}\nbut it may be something else",
        "I choose {}. Or something else.",
    ]
)


@given(_choices, st.data())
def test_a_decorated_choice_is_that_choice(choices: list[str], data: st.DataObject) -> None:
    choice = data.draw(st.sampled_from(choices))
    outer, inner = data.draw(_decorations), data.draw(_decorations)
    assert match_choice(outer.format(choice), choices) == choice
    assert match_choice(inner.format(choice).upper(), choices) == choice


@given(_choices, _frames, st.data())
def test_a_choice_that_a_sentence_says_is_that_choice(
    choices: list[str], frame: str, data: st.DataObject
) -> None:
    choice = data.draw(st.sampled_from(choices))
    assert match_choice(frame.format(choice), choices) == choice
    assert match_choice(f"Let me see.\n\n{frame.format(choice)}", choices) == choice


@given(_choices, _no_decisions, st.data())
def test_a_choice_that_is_only_mentioned_is_none(choices: list[str], reply: str, data: st.DataObject) -> None:
    choice = data.draw(st.sampled_from(choices))
    assert match_choice(reply.replace("{}", choice), choices) is None


@given(_choices, _frames, _frames, st.data())
def test_two_decisions_are_none(choices: list[str], one: str, other: str, data: st.DataObject) -> None:
    first, second = data.draw(st.permutations(choices))[:2]
    assert match_choice(f"{one.format(first)}\n\n{other.format(second)}", choices) is None


@given(st.lists(_words, min_size=1, max_size=4), _choices, st.data())
def test_a_beginning_is_half_of_a_name_and_ends_a_word(
    words: list[str], others: list[str], data: st.DataObject
) -> None:
    name = " ".join(words)
    assume(not any(other.startswith(words[0]) for other in others))
    cut = data.draw(st.integers(1, len(name)))
    begun = name[:cut].rstrip()
    enough = 2 * len(begun) >= len(name) and (name + " ")[len(begun)] == " "
    assume(not any(other.startswith(begun) for other in others))
    assert match_choice(begun, [name, *others]) == (name if enough else None)


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
        ("Check again, since it was wrong", None),
        ("Check, since it was wrong", None),
        ("Comp", None),
        ("Compute", None),
        ("Compute the", "Compute the sum"),
        ("Compute th", None),
        ("I choose Compute the", None),
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
        ("I could Check or Compute the sum.\nCheck again", "Check again"),
        ("Check\n\nCompute the sum", None),
        ("Options:\n- Check\n- Compute the sum", None),
        ("1. Read it.\n2. Think.\n\nCheck", "Check"),
        ("I choose Check. I choose Compute the sum.", None),
    ],
)
def test_replies(reply: str, expected: str | None) -> None:
    assert match_choice(reply, _CHOICES) == expected


def test_choices_that_differ_in_case_alone() -> None:
    assert match_choice("go", ("Go", "go")) == "go"
    assert match_choice("GO", ("Go", "go")) is None
    assert match_choice("I pick GO", ("Go", "go")) is None
    assert match_choice("I pick Go", ("Go", "go")) == "Go"


def test_names_of_one_word_in_common() -> None:
    assert match_choice("The", ("The sum rule", "Addition")) is None
    assert match_choice("The sum", ("The sum rule", "Addition")) == "The sum rule"
    assert match_choice("The sum", ("The sum rule", "The sum")) == "The sum"
    assert match_choice("The sum", ("The sum rule", "The sum law")) is None


@pytest.mark.parametrize("reply", ["", " ", "*", "..."])
def test_nothing_is_no_choice(reply: str) -> None:
    assert match_choice(reply, ("**", "!", "Go")) is None
