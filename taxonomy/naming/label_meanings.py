"""What a given label means, where nobody said so: from the usual words of such labels.

An excerpt of a chunk would say what some problem was about; a description goes into prompts on other problems.
"""

import re

_PLANNING = "Say what to do next, or which way to try."
_DERIVING = "Derive what follows from what is known."
_CALCULATING = "Carry out a calculation and write its result."
_CHECKING = "Check something that was done or found before."
_RECALLING = "Bring in a definition, a rule or a known result."
_SUPPOSING = "Assume something, or take one case, to see what follows."
_TRYING = "Work through an example, a special case or one candidate."
_RESTATING = "Say in own words what is given or asked."
_ANSWERING = "State the answer, or sum up how it was found."
_SUMMING_UP = "Sum up what was found so far."
_DOUBTING = "Say what is unclear, or may be wrong."
_JUDGING = "Step back and judge what was found so far."
_GOING_BACK = "Leave the present line of thought and go back to try another."

_BY_BEGINNING = {
    **dict.fromkeys(("backtrack", "revis", "undo"), _GOING_BACK),
    **dict.fromkeys(("uncertain", "doubt", "hesita", "confus"), _DOUBTING),
    **dict.fromkeys(("check", "verif", "validat"), _CHECKING),
    **dict.fromkeys(("plan", "strateg", "goal", "subgoal"), _PLANNING),
    **dict.fromkeys(("assum", "suppos", "hypothe", "conjectur"), _SUPPOSING),
    **dict.fromkeys(("example", "case", "test", "try", "trial"), _TRYING),
    **dict.fromkeys(("reflect", "evaluat", "judg", "assess", "critiqu"), _JUDGING),
    **dict.fromkeys(("restat", "setup", "initial", "understand", "clarif"), _RESTATING),
    **dict.fromkeys(("fact", "knowledge", "recall", "retriev", "definition", "theorem"), _RECALLING),
    **dict.fromkeys(("consolid", "summar"), _SUMMING_UP),
    **dict.fromkeys(("answer", "conclu", "final"), _ANSWERING),
    **dict.fromkeys(("calculat", "comput", "arithmetic"), _CALCULATING),
    **dict.fromkeys(("deduc", "infer", "deriv", "reason"), _DERIVING),
}
"""The first beginning that a word of the label has decides."""
_WORD = re.compile(r"[^\W\d_]+")


def usual_meaning(label: str, shown_as: str) -> str:
    """One sentence that tells how to take such a step.

    Args:
        label: as given.
        shown_as: what the node is called.
    """
    words = [word.lower() for word in _WORD.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label))]
    for beginning, meaning in _BY_BEGINNING.items():
        if any(word.startswith(beginning) for word in words):
            return meaning
    return f"Take a step of the kind “{shown_as}”."
