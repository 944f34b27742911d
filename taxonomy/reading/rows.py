"""One JSON row to a rollout, under the names that such rows are found with."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from taxonomy.errors import RolloutFileError
from taxonomy.rollouts import Chunk, Rollout

PROBLEM_FIELDS = ("problem", "prompt", "question")
ANSWER_FIELDS = ("gold_answer", "answer", "correct_answer", "ground_truth")
TRACE_FIELDS = ("text", "trace", "response", "reasoning", "completion", "generation", "output", "rollout")
"""Where a whole trace is looked for, in a row without chunks; after them, texts in a list called `turns`."""


def read_row(row: object, where: str, place: str, departures: Counter[str]) -> Rollout:
    """
    Args:
        row: as it was parsed.
        where: file and line, for messages.
        place: the line alone; what a row without an id is called.
        departures: counts what was read otherwise than it stands, in words.

    Raises:
        RolloutFileError: the row lacks what a rollout needs.
    """
    if not isinstance(row, dict):
        raise RolloutFileError(f"{where}: holds {json_type(row)}, expected an object")
    identifier = _identifier(row, where)
    if identifier is None:
        identifier = place
        departures["have no 'id' and are called after their place in the file"] += 1
    where = f"{where} (id {identifier!r})"
    problem = _first_text(row, PROBLEM_FIELDS, where)
    if problem is None:
        raise RolloutFileError(f"{where}: 'problem' is missing")
    is_correct = row.get("is_correct")
    if is_correct is not None and not isinstance(is_correct, bool):
        raise RolloutFileError(
            f"{where}: 'is_correct' is {is_correct!r}, expected true, false, null or nothing"
        )
    chunks = _chunks(row, where)
    text = None if chunks else _whole_trace(row, where)
    left_aside = _other_text(row, chunks)
    if left_aside is not None:
        departures[f"have chunks that do not make up their {left_aside!r}, which was left aside"] += 1
    if row.get("labels_ok") is False and any(chunk.label is not None for chunk in chunks):
        departures["say 'labels_ok': false; their labels are not used"] += 1
        chunks = tuple(Chunk(chunk.idx, chunk.text) for chunk in chunks)
    return Rollout(
        id=identifier,
        problem=problem,
        chunks=chunks,
        is_correct=is_correct,
        final_answer=_scalar_text(row, ("final_answer",), where),
        gold_answer=_scalar_text(row, ANSWER_FIELDS, where),
        category=text_of(row, "category", where),
        model=text_of(row, "model", where),
        text=text,
    )


def _identifier(row: Mapping[str, Any], where: str) -> str | None:
    identifier = row.get("id")
    if isinstance(identifier, int) and not isinstance(identifier, bool):
        return str(identifier)
    if identifier is None or identifier == "":
        return None
    if not isinstance(identifier, str):
        said = repr(identifier) if isinstance(identifier, float) else json_type(identifier)
        raise RolloutFileError(f"{where}: 'id' is {said}, expected a text or a whole number")
    return text_of(row, "id", where)


def _chunks(row: Mapping[str, Any], where: str) -> tuple[Chunk, ...]:
    chunks = row.get("chunks")
    if chunks is None:
        return ()
    if not isinstance(chunks, list):
        raise RolloutFileError(f"{where}: 'chunks' is {json_type(chunks)}, expected a list")
    return tuple(
        read_chunk({"text": chunk} if isinstance(chunk, str) else chunk, position, where)
        for position, chunk in enumerate(chunks)
    )


def _whole_trace(row: Mapping[str, Any], where: str) -> str:
    text = _first_text(row, TRACE_FIELDS, where)
    if text is None and "turns" in row:
        turns = row["turns"]
        if not isinstance(turns, list) or not all(isinstance(turn, str) for turn in turns):
            raise RolloutFileError(f"{where}: 'turns' is no list of texts")
        text = text_of({"turns": "\n\n".join(turns)}, "turns", where)
    if text is not None and not text.strip():
        raise RolloutFileError(f"{where}: the text of the trace is nothing but white space")
    if text is None:
        raise RolloutFileError(
            f"{where}: has neither 'chunks' nor a text of the trace; one of these is needed: "
            f"{', '.join(('chunks', *TRACE_FIELDS, 'turns'))}"
        )
    return text


def _other_text(row: Mapping[str, Any], chunks: Sequence[Chunk]) -> str | None:
    """The field with the whole trace that chunks, white space aside, do not make up; None where there is none."""
    field = next(
        (field for field in TRACE_FIELDS if isinstance(row.get(field), str) and row[field].strip()), None
    )
    if field is None or not chunks:
        return None
    made_up = "".join("".join(chunk.text.split()) for chunk in chunks)
    return None if made_up == "".join(row[field].split()) else field


def _first_text(row: Mapping[str, Any], fields: Sequence[str], where: str) -> str | None:
    found = (text_of(row, field, where) for field in fields if row.get(field) is not None)
    return next(found, None)


def _scalar_text(row: Mapping[str, Any], fields: Sequence[str], where: str) -> str | None:
    """Answers may be numbers; objects, such as a chess position with its moves, are left aside."""
    for field in fields:
        value = row.get(field)
        if isinstance(value, str):
            return text_of(row, field, where)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
    return None


def read_chunk(chunk: object, position: int, where: str) -> Chunk:
    """Raises RolloutFileError, which begins with `where`, where the object is no chunk."""
    where = f"{where}, chunk {position}"
    if not isinstance(chunk, dict):
        raise RolloutFileError(f"{where}: holds {json_type(chunk)}, expected an object")
    idx = chunk.get("idx", position)
    if not isinstance(idx, int) or isinstance(idx, bool):
        raise RolloutFileError(f"{where}: 'idx' is {idx!r}, expected an integer or nothing")
    text = text_of(chunk, "text", where)
    if text is None:
        raise RolloutFileError(f"{where}: 'text' is missing")
    label = text_of(chunk, "label", where)
    if label is not None and not label.strip():
        raise RolloutFileError(f"{where}: 'label' is empty; a step without a label has null or no 'label'")
    return Chunk(idx=idx, text=text, label=label, description=text_of(chunk, "label_description", where))


def text_of(row: Mapping[str, Any], key: str, where: str) -> str | None:
    """None where the key is absent or null; raises RolloutFileError where it holds anything but text."""
    value = row.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise RolloutFileError(f"{where}: {key!r} is {json_type(value)}, expected text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RolloutFileError(f"{where}: {key!r} is not valid Unicode: {error.reason}") from error
    return value


def json_type(value: object) -> str:
    """What a person who looks at the file calls it, with its article."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")
