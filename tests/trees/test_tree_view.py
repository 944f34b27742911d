"""What views show of a tree: what was pruned in its place, what is on the chosen path, what a node promises."""

from __future__ import annotations

from hypothesis import given
from made_up_trees import searched_tree, trees

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.trees import Leaf, ReasoningTree, Scores
from hierarchical_reasoning.trees.view import TreeView, grade_mark, score_figures


def test_what_was_pruned_hangs_where_it_was_behind_what_stayed() -> None:
    tree = searched_tree()
    view = TreeView(tree)
    assert view.kept(0) == (1, 2)
    assert view.children(2) == view.pruned(2) == (4,)
    assert view.children(4) == (6,)
    assert (view.kept(4), view.pruned(4)) == ((), (6,))
    assert list(view.walk()) == [0, 1, 3, 5, 2, 4, 6]
    assert view.chosen_path == {0, 1, 5}
    assert [view.leads_to_correct(node) for node in range(7)] == [
        True,
        True,
        False,
        False,
        False,
        True,
        False,
    ]
    assert view.why_pruned() == [("beam", 2)]
    hidden = TreeView(tree, hide_pruned=True)
    assert (len(view), len(hidden), hidden.hidden) == (7, 5, 2)
    assert hidden.children(2) == ()
    assert hidden.why_pruned() == [("beam", 2)]


@given(trees(30))
def test_a_view_has_every_node_once(tree: ReasoningTree) -> None:
    view = TreeView(tree)
    assert sorted(view.walk()) == sorted([*tree.nodes, *tree.pruned])
    assert sorted(TreeView(tree, hide_pruned=True).walk()) == sorted(tree.nodes)
    assert all(view.node(child).parent == node for node in view.walk() for child in view.children(node))
    promises = [view.promise(node) for node in view.walk()]
    assert all(promise is None or 0 <= promise <= 1 for promise in promises)


def test_a_node_promises_its_total_or_what_leaves_below_it_earned() -> None:
    tree = searched_tree()
    view = TreeView(tree)
    assert view.promise(1) == 0.61
    assert view.promise(0) == 0.5  # of two leaves
    assert view.promise(6) is None
    tree.score(1, Scores(total=7.0))
    assert TreeView(tree).promise(1) == 1.0


def test_numbers_that_are_not_known_are_left_out() -> None:
    def names(scores: Scores) -> list[str]:
        return [figure.name for figure in score_figures(scores)]

    known = ["total", "local", "path", "causal", "visits"]
    assert names(Scores()) == known
    assert names(Scores(value=0.5, uncertainty=0.1, prior=0.2)) == [
        *known[:-1],
        "value",
        "uncertainty",
        "prior",
        "visits",
    ]
    (total, *_, visits) = score_figures(Scores(total=-1.5, visits=1234))
    assert (total.text, total.share) == ("-1.50", 0.0)
    assert (visits.text, visits.share) == ("1,234", None)


def test_grades_are_marked_by_signs() -> None:
    marks = {}
    for outcome in Outcome:
        tree = ReasoningTree("p", [], "?")
        tree.grade(tree.add(0, (), "a", kind="answer"), Leaf(outcome, None))
        marks[outcome.value] = grade_mark(tree.node(1))
    assert marks == {
        "correct": "✓",
        "wrong": "✗",
        "no_answer": "–",
        "truncated": "–",
        "error": "–",
        "ungraded": None,
    }
