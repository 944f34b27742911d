"""The page on HATO says what the judge of thoughts is asked."""

from __future__ import annotations

from pathlib import Path

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.rewards import JudgeLocalReward
from llm_backends import ScriptedBackend

PAGE = Path(__file__).parents[2] / "docs" / "training_hato.md"


def test_the_prompt_of_the_judge_is_in_the_page_word_for_word() -> None:
    judge = JudgeLocalReward(ScriptedBackend(lambda request: "5").complete)
    problem = Problem("p", "{problem}", None, None, {})
    request = judge.request(problem, "{step before}", "{step}")
    assert f"```text\n{request.messages[0].content}\n```" in PAGE.read_text(encoding="utf-8")
