"""Steps and the seam that turns them into vectors."""

import subprocess
import sys

import numpy as np
import pytest

from taxonomy.embedding import EMBEDDERS, StepText, embed, steps_of
from taxonomy.errors import BuildError
from taxonomy.rollouts import Chunk, Rollout

ROLLOUT = Rollout(
    "r1", "What is 2+2?", (Chunk(0, "Let me add.", "plan", "says what comes"), Chunk(1, "2+2 = 4.", "work"))
)


def test_steps_carry_place_problem_and_meaning():
    first, last = steps_of([ROLLOUT])
    assert (first.place, first.trace_length, first.position) == (0, 2, 0.0)
    assert (last.place, last.position, last.trace_id, last.problem) == (1, 1.0, "r1", "What is 2+2?")
    assert first.meaning == "plan: says what comes"
    assert last.meaning == "work"


def test_hidden_labels_leave_the_text():
    first, _ = steps_of([ROLLOUT], with_labels=False)
    assert first.label is None
    assert first.description is None
    assert first.meaning == "Let me add."


@pytest.mark.parametrize(("place", "length"), [(-1, 2), (2, 2), (0, 0)])
def test_a_place_outside_its_trace_is_refused(place, length):
    with pytest.raises(ValueError, match=f"place is {place} in a trace of {length}"):
        StepText("a", place=place, trace_length=length)


@pytest.mark.parametrize("method", ["discourse", "tfidf"])
def test_rows_have_unit_length_and_the_same_seed_gives_the_same(method):
    steps = list(steps_of([ROLLOUT], with_labels=False)) * 3
    vectors = embed(steps, method=method, seed=1)
    assert vectors.dtype == np.float32
    assert len(vectors) == 6
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(vectors, embed(steps, method=method, seed=1))


@pytest.mark.parametrize("method", ["discourse", "tfidf"])
def test_dimensions_are_an_upper_bound(method):
    texts = ["Let me check that.", "So x = 4.", "Wait, no.", "For example, n = 3:", "The answer is 4."]
    vectors = embed([StepText(text) for text in texts], method=method, dimensions=3)
    assert vectors.shape == (5, 3)


def test_labeled_steps_are_compared_by_their_labels_under_tfidf():
    steps = [
        StepText("x", "checking", "tests"),
        StepText("y", "checking", "tests"),
        StepText("x", "recalling"),
    ]
    vectors = embed(steps, method="tfidf")
    assert vectors[0] @ vectors[1] == pytest.approx(1)
    assert vectors[0] @ vectors[2] < 0.5


@pytest.mark.parametrize("method", ["bert", "openai:", "sentence-transformers", "nothing:model"])
def test_an_unknown_method_names_those_that_exist(method):
    with pytest.raises(BuildError, match=r"allowed are discourse, tfidf, minilm, .*openai:MODEL"):
        embed([StepText("a")], method=method)


def test_no_steps_no_dimensions_no_words():
    with pytest.raises(BuildError, match="no steps"):
        embed([])
    with pytest.raises(BuildError, match="dimensions is 0"):
        embed([StepText("a")], dimensions=0)
    with pytest.raises(BuildError, match="no words"):
        embed([StepText("")], method="tfidf")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_vectors_that_are_not_finite_are_refused(monkeypatch, value):
    broken = {**EMBEDDERS, "broken": lambda steps, _dimensions, _seed: np.full((len(steps), 2), value)}
    monkeypatch.setattr("taxonomy.embedding.EMBEDDERS", broken)
    with pytest.raises(BuildError, match="not finite"):
        embed([StepText("a")], method="broken")


def test_the_package_is_light_to_import():
    heavy = "{'numpy', 'sklearn', 'torch', 'openai', 'sentence_transformers'} & set(sys.modules)"
    code = f"import sys; import taxonomy.embedding; loaded = {heavy}; sys.exit(str(loaded) if loaded else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
