"""What a step does, from its cues."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.embedding import StepText
from taxonomy.embedding.cues import PROPERTIES, properties
from taxonomy.embedding.discourse import FUNCTIONS, discourse_vectors, function_scores

PROBLEM = "A farmer sells apples and pears at the market. How many apples does the farmer sell?"


def in_the_middle(text: str) -> StepText:
    return StepText(text, problem=PROBLEM, place=20, trace_length=60)


def strongest(step: StepText) -> str:
    return FUNCTIONS[int(function_scores(properties([step]))[0].argmax())]


def seen(text: str) -> dict[str, float]:
    return dict(zip(PROPERTIES, properties([in_the_middle(text)])[0], strict=True))


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ("Let me find the number of boxes next.", "planning"),
        ("Now, let's verify this by going through the list:", "planning"),
        ("**Counting the boxes**", "planning"),
        ("Hmm, that is confusing, perhaps I made a mistake.", "reflecting"),
        ("Wait, that doesn't work.", "reflecting"),
        ("The farmer sells apples and pears.", "restating"),
        ("I remember that a prime is usually odd, by definition of the word.", "recalling"),
        ("Suppose that nobody comes, without loss of anything.", "supposing"),
        ("For example, two reds and a blue.", "trying"),
        ("\\[ \\boxed{12} \\]", "answering"),
        ("So $3x + 2 = 14$, which gives $x = 4$.", "working"),
        ("12 * 3 = 36", "working"),
    ],
)
def test_a_plain_step_shows_its_function(text, function):
    assert strongest(in_the_middle(text)) == function


def test_cues_are_those_of_the_masked_text():
    assert seen("What if $try = let$?")["question"] == 1
    assert seen("Let's see")["plan_opener"] == 1
    assert seen("Okay, so, let me see")["plan_opener"] == 1
    assert seen("They said let's go")["plan_opener"] == 0
    assert seen("$check$ is a name")["check"] == 0
    assert seen("x = 4")["no_formula"] == 0
    assert seen("nothing here")["no_formula"] == 1


def test_typographic_apostrophes_are_apostrophes():
    np.testing.assert_array_equal(
        properties([in_the_middle("Let’s see")]), properties([in_the_middle("Let's see")])
    )


def test_place_counts():
    text = "The total."
    first, last = (StepText(text, place=place, trace_length=30) for place in (0, 29))
    early, late = PROPERTIES.index("early"), PROPERTIES.index("late")
    rows = properties([first, last])
    assert rows[0, early] == 1
    assert rows[1, late] == 1
    assert rows[1, early] < 0.05
    assert rows[0, late] < 0.05


def test_steps_of_one_function_are_nearer_than_steps_on_one_subject():
    plan_a, plan_b = "Let me find the number of apples.", "Let's determine the angle first."
    doubt_a, doubt_b = "Wait, the number of apples is wrong.", "Hmm, I am not sure, that angle is a mistake."
    rows = discourse_vectors([in_the_middle(text) for text in (plan_a, plan_b, doubt_a, doubt_b)])
    assert rows[0] @ rows[1] > rows[0] @ rows[2]
    assert rows[2] @ rows[3] > rows[0] @ rows[2]


ODD_TEXTS = st.text(max_size=40) | st.sampled_from(
    ["", " \n", "=", "\\boxed{", "$", "**", "？", "\x00", "🙂", "a" * 5000]
)


@given(st.lists(ODD_TEXTS, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_any_text_gives_finite_unit_rows_whatever_the_order(texts, order: random.Random):
    steps = [
        StepText(text, problem=texts[0], place=i, trace_length=len(texts)) for i, text in enumerate(texts)
    ]
    rows = discourse_vectors(steps)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-9)
    places = list(range(len(steps)))
    order.shuffle(places)
    np.testing.assert_array_equal(discourse_vectors([steps[i] for i in places]), rows[places])


def test_steps_that_are_alike_have_one_row_and_say_nothing_beyond_their_function():
    rows = discourse_vectors([StepText("So x = 4.", trace_id="t")] * 7)
    np.testing.assert_array_equal(rows, np.repeat(rows[:1], 7, axis=0))
    np.testing.assert_array_equal(rows[:, len(FUNCTIONS) :], 0)


def test_words_that_no_rule_knows_tell_steps_apart():
    """In a language without a single cue, on three problems: what is said on all of them counts."""
    problems = ("Äpfel", "Birnen", "Kirschen")
    plans, sums = (
        [
            StepText(f"{said} {problem} {rest}", trace_id=problem, problem=problem, place=20, trace_length=60)
            for problem in problems
            for _ in range(5)
        ]
        for said, rest in (("Nun werden", "gezählt"), ("Demnach sind", "vorhanden"))
    )
    rows = discourse_vectors(plans + sums)
    assert (rows[:15] @ rows[15:].T).max() < (rows[:15] @ rows[:15].T).min()


def test_labels_are_not_looked_at():
    bare = [in_the_middle("So x = 4."), in_the_middle("Wait.")]
    labeled = [StepText(s.text, "a", "b", "t", s.problem, s.place, s.trace_length) for s in bare]
    np.testing.assert_array_equal(discourse_vectors(bare), discourse_vectors(labeled))
