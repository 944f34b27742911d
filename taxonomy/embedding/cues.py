"""What can be seen of a step without understanding it: wording, formulas, layout, place in the trace.

`CUES` are English. They are matched against the lower-cased step with its formulas masked
(`taxonomy.embedding.masked_tfidf.mask_content`), so that no cue depends on the content of a formula.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from math import exp, log1p

import numpy as np
from numpy.typing import NDArray

from taxonomy.embedding.masked_tfidf import mask_content
from taxonomy.embedding.steps import StepText

_LEAD_IN = (
    r"^(?:(?:wait|hmm+|hm|okay|ok|alright|so|now|but|and|then|well|oh|actually|maybe|perhaps|alternatively|"
    r"first|firstly|next|finally|also|instead|similarly|again|therefore|thus|hence|or|yes|no|let me think|"
    r"hold on)[,.:; ]+)*"
)
"""Words that may stand before the one that says what the step does."""

_PATTERNS = {
    "plan_opener": _LEAD_IN
    + r"(?:let's|let us|let me|i'll|we'll|i will|we will|i'm going to|"
    + r"(?:i|we) (?:need|want|should|must|have|can|could|might|may)\b|"
    + r"to (?:find|solve|determine|compute|calculate|get|answer|understand|see|show|approach|address|tackle|"
    + r"verify|check|do)\b|(?:try|start|begin|consider|look|think|focus)\b|our (?:goal|task|aim)\b|"
    + r"the (?:goal|next step|first step|task|idea|strategy|plan)\b)",
    "plan": r"\b(?:let's|let me|i'll|we'll|another (?:way|approach|method|idea)|"
    r"(?:different|alternative) (?:way|approach|method|strategy)|how to|approach|strategy|need to|"
    r"try (?:to|another|using|different)|trying|go back|start (?:by|with|over)|step by step)\b",
    "gerund_opener": r"^\w+ing\b",
    "check": r"\b(?:check|checking|verify|verifying|verification|confirm|double-check|double check|recheck|"
    r"re-check|reconsider|re-examine|re-evaluate|revisit|test)\b",
    "doubt": r"\b(?:wait|hmm+|hm|hold on|not sure|unsure|confus\w+|unclear|mistake\w*|error|wrong|"
    r"incorrect\w*|missing|missed|contradict\w*|stuck|tricky|complicated|complex|difficult|hard|impossible|"
    r"strange|weird|messy|doubt\w*|misunder\w+|misinterpret\w*|misread|overlook\w*|overthink\w*|"
    r"overcomplicat\w*|(?:doesn't|does not) (?:work|fit|help|seem|make)|"
    r"not (?:work|help|possible|correct|right|valid|helpful|useful|enough|clear|good|true|working)\w*)\b",
    "judgement": r"\b(?:correct|right|good|great|works?|fine|makes sense|valid|true|fails?|failed|invalid|"
    r"reasonable|helpful|useful|interesting|promising|perfect|fits|"
    r"too (?:big|small|large|high|low|much|many)|contradiction)\b",
    "hedge": r"\b(?:perhaps|maybe|might|possibly|probably|likely|i think|i guess|i believe|i wonder|seems?|"
    r"appears?|could be)\b",
    "inference": r"^(?:so|therefore|thus|hence|consequently|then|which|this|that|giving|yielding|implying|"
    r"it follows|we (?:get|have|find|obtain|conclude)|and so|as a result)\b|"
    r"\b(?:means|implies|gives|yields|leads to|therefore|thus|hence)\b",
    "ground": r"^(?:\w+ )?(?:since|because|as|due to|from|by|using|with)\b",
    "knowledge": r"\b(?:recall\w*|remember\w*|known|i know|we know|definition|theorem|the formula for|"
    r"identity|property|properties|rule|law|in general|generally|typically|usually|always|"
    r"(?:is|are) called|is defined|refers to|famous|well-known|commonly)\b",
    "given": r"\b(?:the (?:problem|question|puzzle|riddle|prompt)|given|asks?|asking|asked|we are told|"
    r"is told|states?|original (?:problem|question|statement|equation)|statement|wants? (?:me|us) to)\b",
    "example": r"\b(?:for example|for instance|e\.g|example|such as|let's say|say)\b|"
    r"^(?:\w+,? )?(?:case|try|testing|for formula|if formula|when formula|take|at formula|similarly)\b|"
    r"^[-*\d.) ]*formula ?:",
    "supposition": r"\b(?:suppose|assume|assuming|assumption|imagine|hypothe\w+|denote|what if|let formula|"
    r"let the|without loss)\b|^(?:\w+,? )?(?:if|when|unless)\b",
    "answer": r"\b(?:final answer|the answer|answer is|answer should|my answer|solution is|in conclusion|"
    r"in summary|to summarize|to conclude|conclusion|summary|overall)\b",
    "description": r"^(?:the|a|an|each|every|all|there|it|they|he|she|its|their|in)\b",
    "question": r"\?\W*$",
    "colon": r":\W*$",
}
CUES = {name: re.compile(pattern) for name, pattern in _PATTERNS.items()}

PROPERTIES = (
    *CUES,
    "boxed",
    "heading",
    "equation",
    "no_formula",
    "formula_share",
    "log_formulas",
    "words",
    "log_words",
    "from_problem",
    "position",
    "early",
    "late",
)
"""Names of the columns of `properties`."""

_HEADING = re.compile(r"\s*(?:#+ |\*\*|\d+\. \*\*)")
_WORD = re.compile(r"[a-z']+")
_MARKUP = " *#-\"'(["


def properties(steps: Sequence[StepText]) -> NDArray[np.float64]:
    """What is seen of each step: one row per step, columns as in `PROPERTIES`.

    Cues, `boxed`, `heading`, `equation` and `no_formula` are 0 or 1. `words` counts up to 1 (at 6 words).
    `from_problem` is the share of the step's longer words that the problem has too; `early` and `late` decay
    with the steps before (scale 8) and after (scale 2). Each row depends on its own step only.
    """
    rows = np.empty((len(steps), len(PROPERTIES)))
    for row, step in zip(rows, steps, strict=True):
        row[:] = _properties(step)
    return rows


def wording(text: str) -> str:
    """The text in lower case, formulas masked, typographic apostrophes made plain."""
    return _lowered(mask_content(text))


def _properties(step: StepText) -> list[float]:
    masked = mask_content(step.text)
    lowered = _lowered(masked).lstrip(_MARKUP)
    n_formulas = sum(word in ("FORMULA", "NUMBER") for word in masked.split())
    n_words = max(0, len(_WORD.findall(lowered)) - n_formulas)
    longer = _longer_words(step.text)
    shared = len(longer & _problem_words(step.problem))
    return [
        *(float(pattern.search(lowered) is not None) for pattern in CUES.values()),
        float("\\boxed" in step.text),
        float(_HEADING.match(step.text) is not None),
        float("=" in step.text),
        float(n_formulas == 0),
        n_formulas / max(1, n_formulas + n_words),
        log1p(n_formulas),
        min(1.0, n_words / 6),
        log1p(n_words),
        shared / max(3, len(longer)),
        step.position,
        exp(-step.place / 8),
        exp(-(step.trace_length - 1 - step.place) / 2),
    ]


def _lowered(masked: str) -> str:
    return masked.lower().replace("’", "'")


def _longer_words(text: str) -> frozenset[str]:
    return frozenset(word for word in _WORD.findall(text.lower()) if len(word) > 3)


@lru_cache(maxsize=1024)
def _problem_words(problem: str) -> frozenset[str]:
    return _longer_words(problem)
