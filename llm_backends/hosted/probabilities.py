"""Probabilities of the choices, from the log probabilities of the tokens that were written.

A server lists, for each token that it wrote, the likeliest tokens in its place (20 at most). Along the written reply,
each of these alternatives leaves some of the choices possible: those whose text it continues. At each place

    p(alternative) = exp(logprob of it) / sum of exp(logprob) over the alternatives that leave a choice possible

and the probability of an alternative is that of reaching its place times this. It belongs to the choice, once the
choice is the only one left. Alternatives that leave several choices possible, and were not taken, are a dead end: how
they go on is not known. A choice that could be there with more than a hundredth of what is known of it is left out.

Deviations from the trie policy of `llm_backends.choices`: a choice may be reached through several tokenizations, which
add up here; alternatives beyond those listed count as 0, and where they could matter nothing is told.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from llm_backends.types import TokenLogprob

_NEGLIGIBLE = 0.01
_END_TOKEN = re.compile(r"\A(?:<.*>|\[.*\]|)\Z", re.DOTALL)
"""Tokens that end a turn show as nothing, or as a name in brackets."""


def choice_probabilities(
    tokens: Sequence[TokenLogprob],
    content: str,
    choices: Sequence[str],
    chosen: str,
    *,
    as_json: bool,
    constrained: bool,
) -> Mapping[str, float] | None:
    """Probability of each choice at temperature 1; those of which it is not known are left out.

    :param content: the reply without reasoning, as it was written.
    :param as_json: the choice is the value of `choice` in a JSON object.
    :param constrained: the server allowed nothing but choices, so after the text of one that others continue only
        the end of the turn stands for it.
    :return: None when the written choice cannot be found in the tokens, or its own probability is not known.
    """
    form = _json_form if as_json else str
    start = _start_of(tokens, content, form(chosen), as_json=as_json)
    if start is None:
        return None
    ends = _ends_json if as_json else _ends_constrained if constrained else _ends_words
    walk = _Walk({choice: form(choice) for choice in choices}, ends)
    offset = 0
    for token in tokens:
        end = offset + len(token.token)
        if end > start or (offset >= start and not token.token):
            lead = max(0, start - offset)
            if not walk.step(token, token.token[:lead]):
                return None
            if len(walk.possible) == 1:
                break
        offset = end
    known = walk.probabilities()
    return known if chosen in known else None


def _json_form(choice: str) -> str:
    """As it stands in JSON after the opening quote, with the closing one."""
    return json.dumps(choice, ensure_ascii=False)[1:]


def _start_of(tokens: Sequence[TokenLogprob], content: str, written: str, *, as_json: bool) -> int | None:
    """Where the chosen text starts in the text of the tokens; None when it is not there exactly once."""
    body = content.strip()
    base = "".join(token.token for token in tokens).rfind(body)
    if base < 0 or not body:
        return None
    if as_json:
        opening = re.search(r'"choice"\s*:\s*"', body)
        if opening is None or not body.startswith(written, opening.end()):
            return None
        return base + opening.end()
    if body.count(written) != 1:
        return None
    return base + body.index(written)


def _ends_json(after: str) -> bool:
    """Whether a choice has ended when `after` follows its text; its closing quote is part of it."""
    return True


def _ends_constrained(after: str) -> bool:
    return bool(_END_TOKEN.match(after))


def _ends_words(after: str) -> bool:
    return not re.match(r"\w", after)


class _Walk:
    """Along the written tokens: which choices are still possible, and what has become of the probability."""

    def __init__(self, forms: Mapping[str, str], ends: Callable[[str], bool]) -> None:
        self._rest = dict(forms)
        """What is still to be written of each choice that is possible."""
        self._ends = ends
        self._reached = 1.0
        self._alone: defaultdict[str, float] = defaultdict(float)
        self._shared: defaultdict[str, float] = defaultdict(float)

    @property
    def possible(self) -> Sequence[str]:
        return tuple(self._rest)

    def step(self, token: TokenLogprob, lead: str) -> bool:
        """Go on by one token, whose first characters `lead` come before the choice; False when it fits none."""
        listed: defaultdict[str, float] = defaultdict(float)
        for text, logprob in token.top:
            listed[text] += math.exp(logprob)  # several tokens may show as the same text
        if token.token not in listed:
            listed[token.token] = math.exp(token.logprob)
        fitting = {text: left for text in listed if (left := self._left_by(text, lead))}
        total = math.fsum(listed[text] for text in fitting)
        taken = fitting.get(token.token)
        if not taken or total <= 0.0 or self._unlisted(token, fitting) > _NEGLIGIBLE * total:
            return False
        reached = self._reached
        for text, left in fitting.items():
            mass = reached * listed[text] / total
            if len(left) == 1:
                self._alone[next(iter(left))] += mass
            elif text == token.token:
                self._reached = mass
            else:
                for choice in left:
                    self._shared[choice] += mass
        self._rest = taken
        return True

    def _unlisted(self, token: TokenLogprob, fitting: Mapping[str, Mapping[str, str]]) -> float:
        """The most that the choices which no listed alternative leaves possible could have here."""
        missing = len(self._rest) - len({choice for left in fitting.values() for choice in left})
        if not missing:
            return 0.0
        listed = [math.exp(logprob) for _, logprob in token.top] or [math.exp(token.logprob)]
        return min(missing * min(listed), max(0.0, 1.0 - math.fsum(listed)))

    def probabilities(self) -> dict[str, float]:
        if len(self._rest) > 1:
            for choice in self._rest:
                self._shared[choice] += self._reached
        return {
            choice: probability
            for choice, probability in self._alone.items()
            if self._shared[choice] <= _NEGLIGIBLE * probability
        }

    def _left_by(self, text: str, lead: str) -> dict[str, str]:
        """The choices that are possible after `text`, with what is still to be written of each."""
        if text and lead.startswith(text):
            return dict(self._rest)
        if not text.startswith(lead):
            return {}
        text = text[len(lead) :]
        going_on = {
            choice: rest.removeprefix(text)
            for choice, rest in self._rest.items()
            if text and rest and rest.startswith(text)
        }
        if going_on:
            return going_on
        return {
            choice: ""
            for choice, rest in self._rest.items()
            if text.startswith(rest) and self._ends(text[len(rest) :])
        }
