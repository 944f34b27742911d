from __future__ import annotations

from pathlib import Path

import pytest
from scripted_run import config_for, reply, run_with

from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.backends import Backends
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers.judge import JudgeVerifier
from llm_backends import (
    Completion,
    FinishReason,
    Request,
    ScriptedBackend,
    ServerError,
    UnparsedChoiceError,
    Usage,
)

CAPITAL = Problem("p", "Capital of {France}?", ("Paris", "Lutetia"), None, {})


def judge_saying(*replies: str) -> tuple[JudgeVerifier, ScriptedBackend]:
    backend = ScriptedBackend(list(replies), max_choice_attempts=2, max_retries=0)
    return JudgeVerifier(backend), backend


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [("correct", Outcome.CORRECT), ("wrong", Outcome.WRONG), ("no answer", Outcome.NO_ANSWER)],
)
async def test_the_verdict_is_the_models(verdict: str, outcome: Outcome) -> None:
    verifier, backend = judge_saying(verdict)
    grade = await verifier.grade(CAPITAL, "The city of light.\nThe answer is the {city} of light")
    assert (grade.outcome, grade.extracted, grade.how) == (outcome, "the {city} of light", "the answer is")
    assert grade.reason == f"the judge says {verdict}: accepted is Paris or Lutetia"
    assert grade.spent is not None
    assert grade.spent.replies == 1
    (request,) = backend.requests
    shown = request.messages[0].content
    assert request.role == "judge"
    assert request.sampling.temperature == 0
    for part in ("Capital of {France}?", "Accepted: Paris or Lutetia", "\nthe {city} of light\n"):
        assert part in shown


async def test_without_a_marker_the_whole_text_is_judged() -> None:
    verifier, backend = judge_saying("correct")
    grade = await verifier.grade(CAPITAL, "I would go\nto Paris")
    assert (grade.outcome, grade.how) == (Outcome.CORRECT, "whole text")
    assert "I would go\nto Paris" in backend.requests[0].messages[0].content


async def test_a_reply_that_is_no_verdict_is_asked_again_and_then_an_error() -> None:
    verifier, backend = judge_saying("Well, it is correct!", "correct")
    grade = await verifier.grade(CAPITAL, "Paris")
    assert (grade.outcome, backend.calls) == (Outcome.CORRECT, 2)
    assert grade.spent is not None
    assert grade.spent.repeats == {"UnparsedChoiceError": 1}
    verifier, backend = judge_saying("Correct", "I cannot say")
    with pytest.raises(UnparsedChoiceError, match="I cannot say"):
        await verifier.grade(CAPITAL, "Paris")
    assert backend.calls == 2


async def test_nothing_is_asked_where_nothing_is_to_be_judged() -> None:
    verifier, backend = judge_saying()
    unanswered = Problem("p", "Capital?", None, None, {})
    assert (await verifier.grade(unanswered, "Paris")).outcome is Outcome.UNGRADED
    assert (await verifier.grade(CAPITAL, "  \n")).outcome is Outcome.NO_ANSWER
    assert (await verifier.grade(CAPITAL, "I would go\nto P", truncated=True)).outcome is Outcome.TRUNCATED
    assert backend.calls == 0


def judged(request: Request) -> Completion:
    accepted, _, answer = (
        request.messages[0].content.partition("Accepted: ")[2].partition("\nAnswer:\n=====\n")
    )
    verdict = "correct" if answer.startswith(accepted) else "wrong"
    return Completion(verdict, FinishReason.CHOICE, Usage(prompt_tokens=70, completion_tokens=2))


async def test_a_run_counts_what_the_judge_took(tmp_path: Path) -> None:
    config = config_for(tmp_path, ground_truth_format="judge", high_level_model_name="fake/judge")
    judge = ScriptedBackend(
        judged, model_name="fake/judge", fail_at={2: ServerError("burnt down")}, max_retries=0
    )
    model = ScriptedBackend(reply)
    finished = await run_with(config, backends=Backends(model, model, judge=judge))
    summary = finished.results.summary
    assert summary.usage["judge"].calls == 5
    assert (summary.usage["judge"].prompt_tokens, summary.usage["judge"].completion_tokens) == (350, 10)
    assert summary.outcomes[Outcome.ERROR] == 1
    assert summary.outcomes[Outcome.CORRECT] + summary.outcomes[Outcome.WRONG] == 5
    assert finished.results.config["backends"]["judge"]["model"] == "fake/judge"
    for entry in finished.results.results:
        assert (entry.error is not None) is (entry.outcome is Outcome.ERROR)


def test_a_judge_has_to_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--ground_truth_format judge.*--high_level_model_name"):
        assemble(config_for(tmp_path, ground_truth_format="judge"))


def test_another_judge_is_another_run(tmp_path: Path) -> None:
    one, other = (
        assemble(config_for(tmp_path, ground_truth_format="judge", high_level_model_name=name)).settings
        for name in ("fake/one", "fake/other")
    )
    assert one["models"]["judge"] != other["models"]["judge"]
