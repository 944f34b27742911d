"""A label with its description as a language model replies it: short, on one line, without decoration."""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

MAX_LABEL_CHARACTERS = 80
MAX_DESCRIPTION_WORDS = 40
_QUOTES = "\"'`“”„‘’«»"
_QUOTE_INSIDE = re.compile(r"[\"`“”„«»]|(?<!\w)['‘’]|['‘’](?!\w)")


def on_one_line(text: str) -> str:
    """The text with single blanks for white space and control characters, without quotes around it.

    Raises:
        ValueError: nothing is left.
    """
    printable = "".join(" " if unicodedata.category(character) == "Cc" else character for character in text)
    line = " ".join(printable.split())
    bare = line.strip(_QUOTES).strip()
    line = line if _QUOTE_INSIDE.search(bare) else bare
    if not line:
        raise ValueError("is empty")
    return line


def _label(text: str) -> str:
    label = on_one_line(text)
    if len(label) > MAX_LABEL_CHARACTERS:
        raise ValueError(f"has {len(label)} characters, at most {MAX_LABEL_CHARACTERS} are allowed")
    return label


def _description(text: str) -> str:
    description = on_one_line(text)
    words = len(description.split())
    if words > MAX_DESCRIPTION_WORDS:
        raise ValueError(f"has {words} words, at most {MAX_DESCRIPTION_WORDS} are allowed")
    return description


class DescribedKind(BaseModel):
    """What steps of one kind do. The bounds are no part of the schema that a server sees, lest it cuts words off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Annotated[str, AfterValidator(_label)]
    description: Annotated[str, AfterValidator(_description)]
