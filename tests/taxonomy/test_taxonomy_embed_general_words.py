"""Which words are said on every problem."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.embedding.general_words import general_words

TEXTS = ("wait the apples", "wait the apples", "wait the pears", "wait the pears")
PROBLEMS = ("a", "a", "b", "b")


def test_words_on_every_problem_come_before_those_on_one():
    np.testing.assert_array_equal(general_words(TEXTS, PROBLEMS, most=2), np.ones((4, 2)))
    # "apples" is as frequent as "pears", and first in the alphabet.
    np.testing.assert_array_equal(general_words(TEXTS, PROBLEMS, most=3)[:, 0], [1, 1, 0, 0])
    assert general_words(TEXTS, PROBLEMS, most=9).shape == (4, 4)


def test_even_is_measured_against_the_steps_of_each_problem():
    texts = ("hmm", "hmm", "hmm", "so", "so", "hmm so")
    problems = ("long", "long", "long", "long", "short", "short")
    # Two of three "so" are on the short problem, which has a third of the texts; three of four "hmm" are not.
    np.testing.assert_array_equal(general_words(texts, problems, most=1)[:, 0], [1, 1, 1, 0, 0, 1])


def test_on_one_problem_the_frequent_words_are_taken():
    texts = ("a, b", "a", "a")
    np.testing.assert_array_equal(general_words(texts, ["one"] * 3, most=1)[:, 0], [1, 1, 1])


@pytest.mark.parametrize("text", ["", "  ", "12 34", "🙂"])
def test_texts_without_words_give_no_columns(text):
    assert general_words([text, text], ["a", "b"], most=5).shape == (2, 0)


@given(st.lists(st.tuples(st.text(max_size=20), st.sampled_from("abc")), min_size=1, max_size=12), st.data())
def test_the_order_of_the_texts_changes_nothing(pairs, data):
    shuffled = data.draw(st.permutations(range(len(pairs))))
    texts, problems = ([pair[side] for pair in pairs] for side in (0, 1))
    found = general_words(texts, problems, most=4)
    again = general_words([texts[i] for i in shuffled], [problems[i] for i in shuffled], most=4)
    np.testing.assert_array_equal(again, found[list(shuffled)])
    assert set(found.ravel()) <= {0.0, 1.0}
