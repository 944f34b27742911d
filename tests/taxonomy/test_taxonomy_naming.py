"""Names and descriptions without a model: from given labels, and from what steps do."""

import numpy as np
import pytest

from taxonomy.embedding.discourse import FUNCTIONS
from taxonomy.embedding.steps import StepText
from taxonomy.naming.composed import Member, longer_names, name_node
from taxonomy.naming.functions import prevailing, shares, shown_functions
from taxonomy.naming.label_meanings import usual_meaning


def step(text: str, place: int = 20) -> StepText:
    return StepText(
        text=text, label=None, description=None, trace_id="t", problem="Find x.", place=place, trace_length=40
    )


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ("Let me try another approach to this.", "planning"),
        ("Wait, that is wrong, something is missing.", "reflecting"),
        ("I recall the theorem on sums; it is well-known.", "recalling"),
        ("Suppose the first is larger.", "supposing"),
        ("The final answer is \\boxed{5}.", "answering"),
        ("Therefore 3 + 4 = 7.", "working"),
    ],
)
def test_a_step_shows_what_it_does(text: str, function: str) -> None:
    assert FUNCTIONS[shown_functions([step(text)])[0]] == function


def test_a_step_without_cues_shows_nothing() -> None:
    assert shown_functions([step("Der Hund schläft unter dem Tisch neben der Katze.")]).tolist() == [-1]


def test_a_group_is_called_after_the_function_of_most_or_after_the_two_that_stand_out() -> None:
    planning, reflecting, working = (FUNCTIONS.index(name) for name in ("planning", "reflecting", "working"))
    everywhere = [0.0] * len(FUNCTIONS)
    everywhere[planning], everywhere[reflecting], everywhere[working] = 0.2, 0.1, 0.7

    def called(**own: float) -> list[str]:
        row = [own.get(name, 0.0) for name in FUNCTIONS]
        return [function.name for function in prevailing(np.array(row), np.array(everywhere))]

    assert called(planning=0.9, working=0.1) == ["Planning"]
    assert called(planning=0.4, reflecting=0.3, working=0.3) == ["Reflecting", "Planning"]
    assert called(planning=0.1, reflecting=0.1) == []


def test_shares_leave_out_steps_that_show_nothing() -> None:
    found = shares(np.array([0, 0, -1, 1]))
    assert found[:2].tolist() == [0.5, 0.25]
    assert found.sum() == 0.75


@pytest.mark.parametrize(
    ("label", "begins"),
    [
        ("plan_generation", "Say what to do next"),
        ("uncertainty-estimation", "Say what is unclear"),
        ("selfChecking", "Check something"),
        ("adding-knowledge", "Bring in a definition"),
        ("deduction", "Derive what follows"),
        ("Zugzwang", "Take a step of the kind “Zugzwang”."),
        ("contest", "Take a step of the kind"),
    ],
)
def test_what_a_label_usually_means(label: str, begins: str) -> None:
    assert usual_meaning(label, label).startswith(begins)


def test_longer_names_name_one_label_more_each() -> None:
    members = [Member(label, "", 9 - rank) for rank, label in enumerate("ABCDE")]
    assert name_node(members)[0] == "A, B and Related Steps"
    assert longer_names(members) == ["A, B, C and Related Steps", "A, B, C, D and Related Steps"]
    assert longer_names(members[:3]) == []
