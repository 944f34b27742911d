"""Answer formats by name, and the format found from the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from hierarchical_reasoning.errors import GroundTruthFormatError, ProblemFileError
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers.base import Verifier
from hierarchical_reasoning.verifiers.number import NumberVerifier
from hierarchical_reasoning.verifiers.ungraded import UngradedVerifier


def _boxed_number() -> Verifier:
    from hierarchical_reasoning.verifiers.boxed_number import BoxedNumberVerifier

    return BoxedNumberVerifier()


def _chess() -> Verifier:
    from hierarchical_reasoning.verifiers.chess_move import ChessMoveVerifier

    return ChessMoveVerifier()


def _choice() -> Verifier:
    from hierarchical_reasoning.verifiers.choice import ChoiceVerifier

    return ChoiceVerifier()


def _countdown() -> Verifier:
    from hierarchical_reasoning.verifiers.countdown import CountdownVerifier

    return CountdownVerifier()


def _math() -> Verifier:
    from hierarchical_reasoning.verifiers.math_expression import MathVerifier

    return MathVerifier()


def _text() -> Verifier:
    from hierarchical_reasoning.verifiers.text import TextVerifier

    return TextVerifier()


def _judge() -> Verifier:
    from hierarchical_reasoning.verifiers.judge import JudgeVerifier

    return JudgeVerifier()


FORMATS: dict[str, Callable[[], Verifier]] = {
    "chess": _chess,
    "countdown": _countdown,
    "choice": _choice,
    "number": NumberVerifier,
    "boxed": _boxed_number,
    "math": _math,
    "text": _text,
    "judge": _judge,
    "ungraded": UngradedVerifier,
}
"""What `--ground_truth_format` takes."""
FOUND = ("chess", "countdown", "choice", "number", "text", "math")
"""The formats that are found from the data, in the order in which they are tried: the narrowest first."""


def verifier_for(
    format_name: str | None,
    problems: Sequence[Problem],
    *,
    found_in: Iterable[Problem] | None = None,
    number_tolerance: float | Fraction = 0,
) -> tuple[Verifier, str]:
    """The verifier for these problems and a note that says which it is and why.

    With `format_name` None the format is found from the answers: the first of `FOUND` that was meant, as far as every
    one of them tells; `ungraded` only where there is nothing to grade by. They are those of `found_in`, of which
    `problems` are a part (None: they are the whole), so that the format does not depend on which part that is.
    `number_tolerance` is for the format number. Raises GroundTruthFormatError for an unknown name or when no format
    fits, and ProblemFileError when an answer cannot be graded in the format asked for.
    """
    if format_name is None:
        verifier, why = _found(problems if found_in is None else found_in, problems)
    else:
        verifier, why = _by_name(format_name), "asked for"
        for problem in _graded(verifier, problems):
            verifier.check(problem)
    if number_tolerance:
        if not isinstance(verifier, NumberVerifier):
            raise GroundTruthFormatError(
                f"--number_tolerance {number_tolerance} goes with the formats number and boxed, not with "
                f"{verifier.format}"
            )
        verifier = type(verifier)(number_tolerance)
    return verifier, _note(verifier, why, problems)


def format_names() -> frozenset[str]:
    """Every name that a format has, with a blank for an underscore."""
    return frozenset(FORMATS).union(*(_aliases(make()) for make in FORMATS.values()))


def _found(problems: Iterable[Problem], selected: Sequence[Problem]) -> tuple[Verifier, str]:
    """Goes through the problems once for each format that is tried.

    The widest format is what remains where no other fits all of them, so that it need not be held against more than
    those that are selected.
    """
    *narrower, widest = (FORMATS[name]() for name in FOUND)
    misfits = []
    for verifier in narrower:
        n, misfit = _looked_through(verifier, problems)
        if n and misfit is None:
            return verifier, "found from the data"
        misfits.append(misfit)
    if not any(problem.answers for problem in problems):
        return UngradedVerifier(), "no problem has a ground truth"
    _, misfit = _looked_through(widest, selected or problems)
    if misfit is None:
        return widest, "found from the data"
    raise GroundTruthFormatError(
        f"no answer format fits these problems; give one of {', '.join(FORMATS)} with --ground_truth_format, "
        f"`ungraded` to run without grading. {' | '.join(filter(None, [*misfits, misfit]))}"
    )


def _looked_through(verifier: Verifier, problems: Iterable[Problem]) -> tuple[int, str | None]:
    """How many problems there are to grade, as far as the first that speaks against the verifier, and what does."""
    n = 0
    for problem in problems:
        if verifier.ground_truth(problem) is None:
            if verifier.computes_truth:
                return n, f"{verifier.format}: problem {problem.id!r} does not say what is to be made of what"
            continue
        n += 1
        try:
            verifier.check(problem)
        except ProblemFileError as error:
            return n, f"{verifier.format}: {str(error).partition(';')[0]}"
        if not verifier.was_meant(problem):
            return n, f"{verifier.format}: problem {problem.id!r} does not show that it is meant"
    return n, None


def _graded(verifier: Verifier, problems: Sequence[Problem]) -> list[Problem]:
    return [problem for problem in problems if verifier.ground_truth(problem) is not None]


def _by_name(name: str) -> Verifier:
    wanted = " ".join(name.lower().replace("_", " ").split())
    if wanted in FORMATS:
        return FORMATS[wanted]()
    for make in FORMATS.values():
        verifier = make()
        if wanted in _aliases(verifier):
            return verifier
    raise GroundTruthFormatError(
        f"--ground_truth_format {name!r} is not known; choose one of {', '.join(FORMATS)}"
    )


def _aliases(verifier: Verifier) -> set[str]:
    return {alias.replace("_", " ") for alias in verifier.aliases}


def _note(verifier: Verifier, why: str, problems: Sequence[Problem]) -> str:
    notes = [f"answer format: {verifier.format} ({why})"]
    graded = _graded(verifier, problems)
    if len(graded) < len(problems) and not isinstance(verifier, UngradedVerifier):
        missing = len(problems) - len(graded)
        notes.append(f"{missing} of {len(problems)} problems have no ground truth and stay ungraded")
    return "; ".join(filter(None, [*notes, verifier.note(graded)]))
