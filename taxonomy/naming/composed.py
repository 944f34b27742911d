"""Names and descriptions of nodes, composed from their members without a model (`medoid`).

A node with one given label takes that label and its description. A merged node is called after its most
frequent members and described by what they do. Descriptions go into prompts, so they stay within
MAX_DESCRIPTION_WORDS.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

ROOT_NAME = "Reasoning Step"
ROOT_DESCRIPTION = "Take whatever step brings the problem closer to its answer."
MAX_DESCRIPTION_WORDS = 25
_NAMED_IN_FULL = 3
_EXCERPT_WORDS = 18


@dataclass(frozen=True)
class Member:
    """A given label that a node stands for."""

    label: str
    description: str
    size: int
    """Number of chunks that carry the label."""


def name_node(members: Sequence[Member], *, is_root: bool = False) -> tuple[str, str]:
    """(label, description) of the node that stands for these members, in any order."""
    if len(members) == 1:
        return display_label(members[0].label), members[0].description
    if is_root:
        return ROOT_NAME, ROOT_DESCRIPTION
    by_frequency = sorted(members, key=lambda member: (-member.size, member.label))
    return _merged_name(by_frequency), _merged_description(by_frequency)


def longer_names(members: Sequence[Member]) -> list[str]:
    """Further names for a node that stands for more labels than `name_node` names, one label more in each."""
    by_frequency = sorted(members, key=lambda member: (-member.size, member.label))
    labels = [display_label(member.label) for member in by_frequency]
    return [f"{', '.join(labels[:named])} and Related Steps" for named in range(_NAMED_IN_FULL, len(labels))]


def display_label(given_label: str) -> str:
    """`plan_generation` and `adding-knowledge` as `Plan Generation` and `Adding Knowledge`; a label that has
    a capital or a space already stays as it is."""
    if re.search(r"[A-Z\s]", given_label):
        return given_label
    words = [word for word in re.split(r"[_-]+", given_label) if word]
    return " ".join(word[0].upper() + word[1:] for word in words) or given_label


def excerpt_description(text: str) -> str:
    """A description for a label that came without one: the beginning of its most typical chunk."""
    words = text.replace('"', "'").split()
    ending = "..." if len(words) > _EXCERPT_WORDS else ""
    return f'Steps such as: "{" ".join(words[:_EXCERPT_WORDS])}{ending}"'


def _merged_name(members: Sequence[Member]) -> str:
    labels = [display_label(member.label) for member in members]
    if len(labels) > _NAMED_IN_FULL:
        return f"{labels[0]}, {labels[1]} and Related Steps"
    words = [label.split() for label in labels]
    if all(len(each) > 1 for each in words):
        # "Constant Merging" and "Constant Transfer" are read soonest as "Constant Merging and Transfer".
        if len({each[0] for each in words}) == 1:
            return f"{words[0][0]} {joined([' '.join(each[1:]) for each in words])}"
        if len({each[-1] for each in words}) == 1:
            return f"{joined([' '.join(each[:-1]) for each in words])} {words[0][-1]}"
    return joined(labels)


def _merged_description(members: Sequence[Member]) -> str:
    descriptions = [member.description.strip().rstrip(".") for member in members]
    if all(descriptions):
        what_they_do = f"{lower_joined(descriptions)}."
        if _fits(what_they_do):
            return what_they_do
    labels = [" ".join(map(_lower_first, display_label(member.label).split())) for member in members]
    for named in range(len(labels), 0, -1):
        rest = len(labels) - named
        parts = labels[:named] if not rest else [*labels[:named], f"{rest} more"]
        description = f"One of these: {joined(parts, 'or' if not rest else 'and')}."
        if _fits(description):
            return description
    return f"One of {len(labels)} kinds of step."


def _fits(description: str) -> bool:
    return len(description.split()) <= MAX_DESCRIPTION_WORDS


def joined(parts: Sequence[str], last: str = "and") -> str:
    """`A, B and C`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def lower_joined(descriptions: Sequence[str]) -> str:
    """`Work out a sum; work out a product; or say the answer`."""
    first, *others = descriptions
    parts = [first, *map(_lower_first, others)]
    return "; or ".join(filter(None, ("; ".join(parts[:-1]), parts[-1])))


def _lower_first(text: str) -> str:
    """The text with a small first letter, unless its first word is an acronym, such as `FEN`."""
    first_word = text.split(maxsplit=1)[0] if text.split() else ""
    return text if not first_word[1:].islower() and len(first_word) > 1 else text[:1].lower() + text[1:]
