"""Arms by name and from files, what a plan refuses, and votes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchical_reasoning.compare.arms import arm_of, arms_named, with_baselines
from hierarchical_reasoning.compare.beginning import Asked, begin
from hierarchical_reasoning.compare.layout import Shard, StudyFiles
from hierarchical_reasoning.compare.plan import StudyPlan, read_plan
from hierarchical_reasoning.compare.study_yaml import read_study_yaml
from hierarchical_reasoning.compare.voting import voted
from hierarchical_reasoning.errors import ConfigError, JournalError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import ErrorRecord, ResultEntry

LEVELS = range(7)


def names(*asked: str, matched: bool = False) -> list[str]:
    return [arm.name for arm in with_baselines(arms_named(asked, LEVELS), matched=matched)]


def test_names_stand_for_arms() -> None:
    assert names("vanilla", "untyped", "0-2", "5") == ["vanilla", "untyped", "0", "1", "2", "5"]
    assert names("levels") == [str(level) for level in LEVELS]
    assert names("maj@8") == ["vanilla", "maj@8"]
    assert names("3", matched=True) == ["vanilla", "3"]
    assert names("3") == ["3"]


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ("vanila", "there is no arm 'vanila'; there are vanilla, untyped, a level"),
        ("9", "the taxonomy has no level 9; its levels are 0 to 6"),
        ("0-9", "the taxonomy has no level 9"),
        ("3-1", "write 1-3"),
        ("maj@1", "a majority vote needs 2 samples or more"),
        ("", "there is no arm ''"),
    ],
)
def test_what_is_no_arm(arm: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        names(arm)


def test_an_arm_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="the arm 1 is asked for twice"):
        names("0-2", "1")


def test_arms_of_another_model_have_a_vanilla_of_their_own() -> None:
    arms = [
        *arms_named(["3"], LEVELS),
        arm_of("big-3", {"level": 3, "model_name": "big"}, LEVELS),
        arm_of("big-maj", {"votes": 4, "model_name": "big"}, LEVELS),
        arm_of("uniform", {"level": 3, "planner": "uniform"}, LEVELS),
    ]
    found = with_baselines(arms, matched=True)
    assert [arm.name for arm in found if arm.implied] == ["vanilla", "big-3.vanilla"]
    assert {arm.name: arm.of for arm in found if arm.votes > 1} == {"big-maj": "big-3.vanilla"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"planer": "uniform"}, "'planer' is no setting; did you mean planner?"),
        ({"n_rows": 3}, "n_rows is the same for all arms"),
        ({"seed": 3}, "seed is the same for all arms"),
        ({"votes": 0}, "votes is 0; it must be a whole number"),
        ({"votes": True}, "votes is True"),
        ({"level": 1, "label_level": 2}, "are the same"),
        ({"level": 8}, "no level 8"),
        ({"votes": 3, "vanilla_baseline": False}, "votes are taken over vanilla samples"),
    ],
)
def test_settings_that_an_arm_cannot_have(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        arm_of("x", settings, LEVELS)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("maj@8", {"level": 3}),
        ("maj@8", {"votes": 4}),
        ("maj@8", {"votes": 8, "model_name": "big"}),
        ("big.maj@8", {}),
    ],
)
def test_names_of_matched_baselines_are_not_given_to_others(name: str, settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"arm {name}: compute-matched baselines have such names"):
        arm_of(name, settings, LEVELS)
    assert arm_of("maj@8", {"votes": 8}, LEVELS).votes == 8


@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 200))
def test_shards_divide_problems(index: int, of: int, position: int) -> None:
    if index > of:
        with pytest.raises(ConfigError):
            Shard.parse(f"{index}/{of}")
        return
    shard = Shard.parse(f"{index}/{of}")
    assert str(shard) == f"{index}/{of}"
    assert sum(Shard(one, of).has(position) for one in range(1, of + 1)) == 1


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "a/b", "1/99999"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(ConfigError, match="must be I/N"):
        Shard.parse(text)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_study_in_yaml(tmp_path: Path) -> None:
    path = write(
        tmp_path / "study.yaml",
        """
        arms: [vanilla, 0-2, maj@4, {name: uniform, level: 3, planner: uniform}, 5]
        n_rows: 3
        temperature: 0.7
        most_votes: 9
        """,
    )
    plan = begin(StudyFiles(tmp_path / "study"), read_study_yaml(path)).plan
    assert [arm.name for arm in plan.arms] == ["vanilla", "0", "1", "2", "maj@4", "uniform", "5"]
    assert [plan.kind(arm) for arm in plan.arms] == [
        *("vanilla", "level", "level", "level", "majority", "other", "level")
    ]
    assert (plan.common.temperature, plan.common.n_rows, plan.most_votes) == (0.7, 3, 9)
    assert read_plan(StudyFiles(tmp_path / "study")) == plan
    assert begin(StudyFiles(tmp_path / "study"), Asked()).plan == plan


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arm: [vanilla]", "'arm' is no setting of a study; did you mean arms?"),
        ("temprature: 1", "did you mean temperature?"),
        ("arms: 3", "arms is a number, expected a list"),
        ("arms: [[1]]", "an arm is a list, expected a name"),
        ("label_level: 3", "label_level is a setting of an arm"),
        ("matched: 3", "matched is a number, expected true or false"),
        ("arms: [{level: 3}]", "an arm has no name"),
        ("arms: [vanilla]\narms: [untyped]", "the key 'arms' stands there twice"),
        ("[", "is not YAML"),
    ],
)
def test_what_is_no_study(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "study.yaml", text)
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        begin(StudyFiles(tmp_path / "study"), read_study_yaml(path))
    assert not (tmp_path / "study").exists()


def test_what_cannot_be_begun(tmp_path: Path) -> None:
    files = StudyFiles(tmp_path / "study")
    with pytest.raises(ConfigError, match="holds no study; begin one with --arms"):
        begin(files, Asked())
    with pytest.raises(ConfigError, match="is an arm of a study: --arms vanilla"):
        begin(files, Asked(arms=("0",), settings={"vanilla_baseline": True}))
    with pytest.raises(ConfigError, match="can have no matched baseline: with --temperature 0"):
        begin(files, Asked(arms=("0",), settings={"temperature": 0}))
    with pytest.raises(ConfigError, match="nothing to choose from"):
        begin(files, Asked(arms=("maj@3",), settings={"temperature": 0}, matched=False))
    with pytest.raises(ConfigError, match="'7' is no arm of the study; there are vanilla, 0"):
        begin(files, Asked(arms=("0",), baseline="7"))
    with pytest.raises(ConfigError, match="arm x: --planner_sequence goes with --planner fixed"):
        begin(files, Asked(arms=({"name": "x", "planner_sequence": "a; b"},)))
    with pytest.raises(ConfigError, match=r"cannot be called '\.\./x'"):
        begin(files, Asked(arms=({"name": "../x", "level": 2},)))
    assert not files.plan.exists()


def test_a_plan_of_another_version_is_refused(tmp_path: Path) -> None:
    files = StudyFiles(tmp_path / "study")
    begin(files, Asked(arms=("vanilla",)))
    files.plan.write_text(files.plan.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(JournalError, match="none that this version reads"):
        read_plan(files)


def sample(number: int, answer: str | None, *, error: bool = False) -> ResultEntry:
    right = None if error else answer == "7"
    outcome = Outcome.ERROR if error else Outcome.CORRECT if right else Outcome.WRONG
    if answer is None and not error:
        outcome, right = Outcome.NO_ANSWER, False
    return ResultEntry(
        problem_id="p",
        problem="3 + 4?",
        use_hierarchical=False,
        label_level=3,
        thought_types=(),
        thoughts=(),
        final_response=f"sample {number}",
        extracted_answer=answer,
        is_correct=right,
        ground_truth="7",
        outcome=outcome,
        reason="",
        sample=number,
        seconds=1.0,
        error=ErrorRecord(type="E", message="m") if error else None,
    )


def test_votes() -> None:
    entries = [sample(0, "8"), sample(1, "7"), sample(2, None), sample(3, "07"), sample(4, None, error=True)]
    vote = voted(entries, number=0, seed=1, ballot=lambda answer: answer.lstrip("0"))
    assert (vote.final_response, vote.outcome, vote.sample, vote.seconds) == (
        "sample 1",
        Outcome.CORRECT,
        0,
        5.0,
    )
    assert vote.notes == (
        "majority vote: 2 of 3 answers among 5 samples",
        "1 sample ended in an error",
    )
    nothing = voted([sample(0, None, error=True), sample(1, None)], number=1, seed=1, ballot=str)
    assert (nothing.outcome, nothing.sample) == (Outcome.NO_ANSWER, 1)
    assert voted([sample(0, None, error=True)], number=0, seed=1, ballot=str).outcome is Outcome.ERROR
    draws = {
        voted([sample(0, "8"), sample(1, "7")], number=0, seed=seed, ballot=str).extracted_answer
        for seed in range(20)
    }
    assert draws == {"7", "8"}


def test_a_vanilla_arm_knows_nothing_of_thoughts(tmp_path: Path) -> None:
    asked = Asked(
        arms=("vanilla", "2"), settings={"max_reasoning_steps": 4, "search": "beam", "uncertainty": "none"}
    )
    plan: StudyPlan = begin(StudyFiles(tmp_path / "study"), asked).plan
    assert plan.config(plan.arm("vanilla")).search is None
    assert plan.config(plan.arm("2")).search == "beam"
    assert [plan.kind(arm) for arm in plan.arms] == ["vanilla", "search"]
