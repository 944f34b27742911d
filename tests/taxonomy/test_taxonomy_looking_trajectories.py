import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy import LevelError, Rollout, read_rollouts
from taxonomy.building.directory_writer import write_taxonomy_directory
from taxonomy.building.given_labels import build_taxonomy
from taxonomy.looking.errors import LookingError, MissingPackageError
from taxonomy.looking.traces import LevelTraces, Outcome, Step, Trace, read_traces
from taxonomy.looking.trajectories import order_by_position, position_frame, transition_frame
from taxonomy.looking.trajectory_pictures import draw_positions, draw_transitions
from taxonomy.model import Taxonomy, TaxonomyNode
from taxonomy.transitions import END, START, label_transition_counts

ASSETS = Path(__file__).resolve().parents[2] / "hierarchical_reasoning" / "assets"
BUNDLED = ASSETS / "taxonomy"
SVG = "{http://www.w3.org/2000/svg}"
TREE = Taxonomy(
    (
        TaxonomyNode("0", "root"),
        TaxonomyNode("1", "late", parent_id="0"),
        TaxonomyNode("2", "early", parent_id="0"),
        TaxonomyNode("3", "never", parent_id="0"),
    )
)


def traces(*found: Trace, graded: bool = True) -> LevelTraces:
    return LevelTraces(TREE, 1, found, graded, ())


def trace(
    places: str, *, length: int | None = None, outcome: Outcome = Outcome.CORRECT, name: str = "r"
) -> Trace:
    """Node ids place by place; a dot is an unlabeled chunk."""
    steps = tuple(Step(place, node_id) for place, node_id in enumerate(places) if node_id != ".")
    return Trace(name, outcome, length or len(places), steps)


def shares(found: LevelTraces, bins: int, group: str = "all") -> dict[str, list[float]]:
    chunks: defaultdict[str, list[float]] = defaultdict(list)
    for row in position_frame(found, bins=bins):
        if row.group == group:
            chunks[row.name].append(row.chunks)
    return dict(chunks)


def test_a_chunk_counts_where_it_lies() -> None:
    assert shares(traces(trace("21")), 4) == {
        "early": [0.5, 0.5, 0, 0],
        "late": [0, 0, 0.5, 0.5],
        "never": [0] * 4,
    }
    assert shares(traces(trace("221")), 2) == {"early": [1.5, 0.5], "late": [0, 1], "never": [0, 0]}
    assert shares(traces(trace(".2.1")), 2) == {"early": [1, 0], "late": [0, 1], "never": [0, 0]}


@given(
    st.lists(st.text("123.", min_size=1, max_size=12).filter(lambda t: t.strip(".")), min_size=1),
    st.integers(1, 30),
)
def test_no_chunk_is_lost_between_bins(all_places: list[str], bins: int) -> None:
    found = traces(*(trace(places) for places in all_places))
    counted = shares(found, bins)
    assert sum(map(sum, counted.values())) == pytest.approx(sum(len(t.steps) for t in found.traces))
    rows = position_frame(found, bins=bins).rows
    for node_id in {step.node_id for each in found.traces for step in each.steps}:
        of_type = [row.share_of_type for row in rows if row.node_id == node_id and row.group == "all"]
        assert sum(of_type) == pytest.approx(1.0)  # type: ignore[arg-type]
    of_bin = [row.share_of_bin for row in rows if row.bin == 0 and row.group == "all"]
    assert None in of_bin or sum(of_bin) == pytest.approx(1.0)  # type: ignore[arg-type]


def test_order_and_outcomes() -> None:
    found = traces(
        trace("221", name="a"),
        trace("211", outcome=Outcome.WRONG, name="b"),
        trace("1", outcome=Outcome.UNGRADED, name="c"),
    )
    assert order_by_position(found) == ("2", "1", "3")
    assert list(found.groups()) == ["all", "correct", "wrong", "ungraded"]
    assert shares(found, 1, "correct") == {"early": [2], "late": [1], "never": [0]}
    never = [row for row in position_frame(found, bins=1) if row.name == "never"]
    assert {row.share_of_type for row in never} == {None}
    assert list(traces(trace("1"), graded=False).groups()) == ["all"]


def test_transitions_by_hand() -> None:
    found = traces(trace("2.11", length=5), trace("21", name="s"))
    rows = {
        (row.origin_id, row.target_id): (row.count, row.share)
        for row in transition_frame(found)
        if row.group == "all"
    }
    assert rows == {
        (START, "2"): (2, 1.0),
        ("2", "1"): (1, 1.0),
        ("1", "1"): (1, 0.5),
        ("1", END): (1, 0.5),
    }


def test_the_bundled_traces_agree_with_the_rollouts_labels() -> None:
    rollouts = read_rollouts(ASSETS / "rollouts.jsonl.gz")
    found = read_traces(BUNDLED, 3, rollouts=rollouts)
    assert found.notes == ()
    groups = found.groups()
    assert len(groups["correct"]) == sum(rollout.is_correct is True for rollout in rollouts)
    assert len(groups["wrong"]) == sum(rollout.is_correct is False for rollout in rollouts)
    for group, only_correct in (("all", False), ("correct", True)):
        counts = label_transition_counts(rollouts, found.taxonomy, 3, only_correct=only_correct).counts
        counted: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for row in transition_frame(found):
            if row.group == group:
                counted[row.origin_id][row.target_id] = row.count
        assert counted == counts
    without = read_traces(BUNDLED, 3)
    assert [(t.rollout_id, t.length, t.steps) for t in without.traces] == [
        (t.rollout_id, t.length, t.steps) for t in found.traces
    ]
    assert "--rollouts_file" in without.notes[0]


def test_lengths_and_places_come_from_the_rollouts(tmp_path: Path, rollouts: list[Rollout]) -> None:
    def without_some_labels(rollout: Rollout) -> Rollout:
        chunks = [replace(chunk, idx=10 * chunk.idx) for chunk in rollout.chunks]
        for place in (0, 4, 9):
            chunks[place] = replace(chunks[place], label=None)
        return replace(rollout, chunks=tuple(chunks))

    sparse = [without_some_labels(rollout) for rollout in rollouts]
    write_taxonomy_directory(build_taxonomy(sparse, levels=3), tmp_path / "tree")
    found = read_traces(tmp_path / "tree", 2, rollouts=sparse[:30])
    assert {t.length for t in found.traces} == {10}
    assert {tuple(step.place for step in t.steps) for t in found.traces} == {(1, 2, 3, 5, 6, 7, 8)}
    assert found.notes == ("70 chunks of the directory are left out: they are not in the rollouts",)
    origins = {row.origin_id for row in transition_frame(found)}
    assert START not in origins
    assert END not in {row.target_id for row in transition_frame(found)}


def test_what_cannot_be_shown(tmp_path: Path, rollouts: list[Rollout]) -> None:
    write_taxonomy_directory(build_taxonomy(rollouts, levels=3), tmp_path / "tree")
    with pytest.raises(LevelError, match=r"level 5 does not exist.*\(--level\)"):
        read_traces(tmp_path / "tree", 5)
    with pytest.raises(LookingError, match="holds no labeled chunks of level 1"):
        read_traces(tmp_path / "tree" / "labeled_hierarchical_tree.gml", 1)
    with pytest.raises(LookingError, match=r"none of its chunks is in the rollouts.*--rollouts_file"):
        read_traces(tmp_path / "tree", 1, rollouts=[replace(rollouts[0], id="other")])
    found = read_traces(tmp_path / "tree", 1)
    with pytest.raises(LookingError, match="bins is 0, 1 to 1000 is allowed"):
        position_frame(found, bins=0)
    with pytest.raises(LookingError, match=r"min_share is 2, 0 to 1 is allowed \(--min_share\)"):
        draw_transitions(found, "png", min_share=2)


def texts(svg: bytes) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_pictures_name_every_thought_type_and_both_outcomes() -> None:
    found = read_traces(BUNDLED, 6, rollouts=read_rollouts(ASSETS / "rollouts.jsonl.gz"))
    for svg in (
        draw_positions(found, "svg"),
        draw_positions(found, "svg", bins=7, share_of="position"),
        draw_transitions(found, "svg"),
    ):
        written = texts(svg)
        assert set(found.name_of.values()) <= set(written)
        assert any(text.startswith("correct rollouts: 250") for text in written)
        assert any(text.startswith("wrong rollouts: 150") for text in written)
    assert draw_positions(found, "svg") == draw_positions(found, "svg")
    assert draw_transitions(found, "png").startswith(b"\x89PNG")


def test_pictures_of_odd_traces() -> None:
    odd = Taxonomy((TaxonomyNode("0", "$x^$ \x1b <b> " + "long " * 40),))
    found = LevelTraces(odd, 0, (trace("0"), trace("00")), False, ())
    for svg in (draw_positions(found, "svg", bins=1), draw_transitions(found, "svg", min_share=0)):
        assert any(text.startswith(r"$x^$ \x1b <b> long") for text in texts(svg))
    wrong_only = traces(trace("21", outcome=Outcome.WRONG))
    assert any(text.startswith("all rollouts") for text in texts(draw_positions(wrong_only, "svg")))


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'hierarchical-reasoning\[plot\]'"):
        draw_positions(traces(trace("12")), "png")
    with pytest.raises(MissingPackageError, match=r"FILE\.csv needs nothing"):
        draw_transitions(traces(trace("12")), "png")
