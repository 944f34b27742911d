import asyncio
import itertools
import json
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backends import Request
from llm_backends.errors import ServerError
from llm_backends.scripted import ScriptedBackend
from taxonomy import BuildError, Chunk, Rollout
from taxonomy.chunking.by_model import PASSAGE_CHARACTERS, chunk_by_model, passages_of, slices_of
from taxonomy.chunking.rules import CHUNKERS, chunk_by_rules, split_paragraphs, split_sentences
from taxonomy.described_kinds import DescribedKind
from taxonomy.labeling import label_by_model

PIECES = r"""So we Dr. e.g. 3.5 . ? ! ... 1. - (a) $$ \[ \] ``` Wait x=2 " ) 。 \begin{align} \end{align}"""
WHITE_SPACE = (" ", "\n", "\n\n", "\t\n \n", "\r\n", "\u2028", "\x85")
pieces_of_text = st.sampled_from([*PIECES.split(), *WHITE_SPACE])
traces = st.lists(pieces_of_text, max_size=40).map("".join) | st.text(max_size=80)


@pytest.mark.parametrize("chunker", list(CHUNKERS))
@given(text=traces)
def test_joined_the_chunks_are_the_text(chunker: str, text: str) -> None:
    chunks = CHUNKERS[chunker](text)
    assert "".join(chunks) == text
    assert all(chunks)
    if len(chunks) > 1:
        assert all(any(letter.isalnum() or letter == "_" for letter in chunk) for chunk in chunks)


@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        (
            "I know Dr. Fu. It costs $3.50, i.e. 7/2. Right?",
            ["I know Dr. Fu. ", "It costs $3.50, i.e. 7/2. ", "Right?"],
        ),
        ("Hmm... wait, no. Yes!", ["Hmm... wait, no. ", "Yes!"]),
        (
            "Steps:\n1. First. It is 4.\n2. Second\nand more",
            ["Steps:\n", "1. First. ", "It is 4.\n", "2. Second\nand more"],
        ),
        ("So:\n\n$$x = 1.\n\nY = 2. Z$$ Then done.", ["So:\n\n", "$$x = 1.\n\nY = 2. Z$$ Then done."]),
        ('He said "no." Then left. :-)', ['He said "no." ', "Then left. :-)"]),
        ("\n\n  \nStart. \n", ["\n\n  \nStart. \n"]),
        ("", []),
        (
            "first add 3 and 4. that gives 7. now check: 7 is right. so the answer is 7.",
            ["first add 3 and 4. ", "that gives 7. ", "now check: 7 is right. ", "so the answer is 7."],
        ),
        (
            "is 2/3 right? yes it is! so 5! is 120, i.e. fine.",
            ["is 2/3 right? ", "yes it is! ", "so 5! is 120, i.e. fine."],
        ),
        ("we use fig. 3. then add etc. and so on.", ["we use fig. 3. ", "then add etc. and so on."]),
        ("let x. y be a.m. times.\nand then\nmore", ["let x. y be a.m. times.\n", "and then\nmore"]),
        (
            "steps: 1. add; 2. check, 3. say.\n4. done. 5 is it",
            ["steps: 1. add; 2. check, 3. say.\n", "4. done. ", "5 is it"],
        ),
        ('"is it 7?" he asked. "no." then left', ['"is it 7?" he asked. ', '"no." then left']),
        (
            "\\begin{a} \\begin{b} X. Y \\begin{a} x \\end{a} Add. \\end{a} Now. Let \\begin{a} Add. Two. \\end{b}",
            [
                "\\begin{a} \\begin{b} X. Y \\begin{a} x \\end{a} Add. \\end{a} Now. ",
                "Let \\begin{a} Add. ",
                "Two. \\end{b}",
            ],
        ),
        (
            'Done. >> FINAL ANSWER:\n"""\n(1 + 2) * 8 = 24. So.\n"""\nIs it?',
            ["Done. ", '>> FINAL ANSWER:\n"""\n(1 + 2) * 8 = 24. So.\n"""\n', "Is it?"],
        ),
        ("Use this:\nA sum\nA product", ["Use this:\nA sum\n", "A product"]),
        (
            "```\nif a. Then $$ b.\n``` So $$ left. It is.",
            ["```\nif a. Then $$ b.\n``` So $$ left. ", "It is."],
        ),
    ],
)
def test_sentences(text: str, chunks: list[str]) -> None:
    assert list(split_sentences(text)) == chunks


MEGABYTES = {
    "lower case": "first add 3 and 4. that gives 7. now check: 7 is right. ",
    "unclosed environments": "\\begin{a} is it. Done. ",
    "never an end": "e.g. ",
    "without words": "! ",
    "full stops": ".",
    "closing brackets": ".)))))",
    "fences": "``` Add. Then. ",
    "unclosed fence": "```$$ Add. Then. \\[ ",
    "blank lines": " \n",
    "one list marker": "-",
}


@pytest.mark.parametrize("chunker", list(CHUNKERS))
@pytest.mark.parametrize("name", [*MEGABYTES, "many environments"])
def test_a_megabyte_takes_seconds(chunker: str, name: str) -> None:
    if name in MEGABYTES:
        text = MEGABYTES[name] * (10**6 // len(MEGABYTES[name]))
    else:
        text = "".join(f"\\begin{{n{number}}} is it. Done. " for number in range(40_000))
    started = time.process_time()
    chunks = CHUNKERS[chunker](text)
    assert time.process_time() - started < 15
    assert "".join(chunks) == text


def test_paragraphs_end_at_blank_lines() -> None:
    assert split_paragraphs("a b.\nC.\n \n\nd\n\n") == ("a b.\nC.\n \n\n", "d\n\n")


def test_only_what_is_undivided_is_divided() -> None:
    divided = Rollout("a", "p", (Chunk(3, "One. Two."),))
    assert chunk_by_rules(divided, "sentences") is divided
    text = chunk_by_rules(Rollout("b", "p", (), text="One. Two."), "sentences")
    assert [(chunk.idx, chunk.text) for chunk in text.chunks] == [(0, "One. "), (1, "Two.")]
    assert text.text is None


@given(traces, st.lists(st.integers(0, 200), max_size=6))
def test_a_copy_with_other_white_space_gives_slices_of_the_text(text: str, places: list[int]) -> None:
    cuts = sorted({0, len(text), *(min(place, len(text)) for place in places)})
    copy = ["  ".join(text[a:b].split()) for a, b in itertools.pairwise(cuts)]
    slices = slices_of(text, copy)
    if "".join(text.split()):
        assert "".join(slices) == text
    assert all(slices)


@pytest.mark.parametrize("copy", [["So it is", "five."], ["So it is"], ["So it is four.", "Yes."], []])
def test_a_copy_that_departs_is_refused(copy: list[str]) -> None:
    with pytest.raises(ValueError, match="the copy is not the passage"):
        slices_of("So it is four.", copy)


@given(traces)
def test_passages_are_the_text(text: str) -> None:
    assert "".join(passages_of(text * 50)) == text * 50


def test_long_texts_are_asked_about_in_passages() -> None:
    text = "A sentence of some words. " * 1000
    passages = passages_of(text)
    assert len(passages) > 5
    assert all(len(passage) <= PASSAGE_CHARACTERS for passage in passages)


def passage_in(request: Request) -> str:
    content = request.messages[0].content
    return content[content.index("<passage>\n") + 10 : content.index("\n</passage>")]


def halves(request: Request) -> str:
    words = passage_in(request).split()
    return json.dumps({"chunks": [" ".join(words[:3]), " ".join(words[3:])]})


TEXT = "First  we add.\n\nThen we check. "


def run_chunker(
    reply: Callable[[Request], str], *texts: str, **options: object
) -> tuple[tuple[Rollout, ...], tuple[str, ...], int]:
    backend = ScriptedBackend(reply, **options)  # type: ignore[arg-type]
    whole = [Rollout(name, "p", (), text=text) for name, text in zip("abc", (TEXT, *texts), strict=False)]
    rollouts, notes = asyncio.run(chunk_by_model(whole, backend))
    return rollouts, notes, backend.calls


def test_a_model_divides_and_the_text_stays_as_it_was() -> None:
    (rollout,), notes, calls = run_chunker(halves)
    assert [chunk.text for chunk in rollout.chunks] == ["First  we add.\n\n", "Then we check. "]
    assert (notes, calls) == ((), 1)


def test_a_model_that_alters_the_text_is_asked_again() -> None:
    replies = iter(['{"chunks": ["First we multiply."]}', "no JSON"])
    (rollout,), notes, calls = run_chunker(lambda request: next(replies, None) or halves(request))
    assert len(rollout.chunks) == 2
    assert (notes, calls) == ((), 3)


def test_a_passage_that_is_never_copied_is_divided_by_rules_and_that_is_said() -> None:
    def reply(request: Request) -> str:
        return halves(request) if "Good" in passage_in(request) else '{"chunks": ["something else"]}'

    (rollout, other), notes, calls = run_chunker(reply, "Good. It is good. Done.")
    assert [chunk.text for chunk in rollout.chunks] == ["First  we add.\n\n", "Then we check. "]
    assert [chunk.text for chunk in other.chunks] == ["Good. It is ", "good. Done."]
    assert calls == 4
    assert notes == (
        "1 of 2 passages were divided by rules, since scripted did not copy them: those of 'a'; to ask for those "
        "again, delete chunk.jsonl.gz in the directory of the stages (--stages_dir) and build with it into another "
        "--output",
    )


def test_a_model_that_copies_nothing_is_an_error() -> None:
    with pytest.raises(
        BuildError, match=r"of 2 passages to divide none .*asked 3 times.*something else.*--chunker"
    ):
        run_chunker(lambda request: '{"chunks": ["something else"]}', "Another.")


def test_a_server_that_fails_is_an_error_and_no_chunk() -> None:
    with pytest.raises(ServerError):
        run_chunker(halves, fail_at={0: ServerError("down")}, max_retries=0)


def labels_for(request: Request) -> str:
    count = request.messages[0].content.count("<step number=")
    return json.dumps({"labels": [{"label": f"Kind {n}", "description": f"Do {n}."} for n in range(count)]})


def test_chunks_without_a_label_are_labeled_in_passages() -> None:
    chunks = tuple(Chunk(idx, f"text {idx}") for idx in range(50))
    backend = ScriptedBackend(labels_for)
    (rollout,), notes = asyncio.run(label_by_model([Rollout("a", "p", chunks)], backend))
    assert [chunk.label for chunk in rollout.chunks[:3]] == ["Kind 0", "Kind 1", "Kind 2"]
    assert rollout.chunks[0].description == "Do 0."
    assert (backend.calls, notes) == (3, ())
    assert [chunk.text for chunk in rollout.chunks] == [chunk.text for chunk in chunks]
    assert {request.role for request in backend.requests} == {"labeler"}


def test_where_some_chunks_came_with_labels_the_others_get_one_of_these() -> None:
    chunks = (
        Chunk(0, "a", "Plan", "Say what to do."),
        Chunk(1, "b"),
        Chunk(2, "c", "Check"),
        Chunk(3, "d"),
    )
    replies = iter(['{"labels": ["Plan", "Guess"]}', '{"labels": ["Plan", "Check"]}'])
    backend = ScriptedBackend(lambda request: next(replies))
    (rollout,), notes = asyncio.run(label_by_model([Rollout("a", "p", chunks)], backend))
    assert [(chunk.label, chunk.description) for chunk in rollout.chunks] == [
        ("Plan", "Say what to do."),
        ("Plan", "Say what to do."),
        ("Check", None),
        ("Check", None),
    ]
    assert (backend.calls, notes) == (2, ())
    assert '- "Plan": Say what to do.\n- "Check"' not in backend.requests[0].messages[0].content
    assert '- "Check"\n- "Plan": Say what to do.' in backend.requests[0].messages[0].content


def test_labels_that_do_not_fit_the_steps_are_asked_for_again_and_then_left() -> None:
    backend = ScriptedBackend(lambda request: '{"labels": [{"label": "A", "description": "B"}]}')
    one, two = Rollout("a", "p", (Chunk(0, "one"), Chunk(1, "two"))), Rollout("b", "p", (Chunk(0, "three"),))
    (rollout, labeled), notes = asyncio.run(label_by_model([one, two], backend))
    assert [chunk.label for chunk in rollout.chunks] == [None, None]
    assert [chunk.label for chunk in labeled.chunks] == ["A"]
    assert backend.calls == 4
    assert notes[0].startswith(
        "scripted gave no usable labels for 1 of 2 passages, whose 2 chunks stay without; to ask for those again, "
        "delete label.jsonl.gz"
    )
    with pytest.raises(
        BuildError, match=r'of 1 passages to label none .*asked 3 times.*"A".*\(--labeler none\)'
    ):
        asyncio.run(label_by_model([one], backend))


@pytest.mark.parametrize(
    ("said", "label"),
    [
        (" Result\n\tCheck ", "Result Check"),
        ('"Result Check"', "Result Check"),
        ("`Don't Stop`", "Don't Stop"),
        ("“Plan”\x00", "Plan"),
        ("\x1bPlan\x07Ahead", "Plan Ahead"),
        ('Say "Done"', 'Say "Done"'),
        ("x" * 80, "x" * 80),
    ],
)
def test_labels_of_a_model_are_tidied(said: str, label: str) -> None:
    assert DescribedKind(label=said, description=said).label == label


@pytest.mark.parametrize(
    "change", [{"label": "x" * 81}, {"label": ' "\n" '}, {"description": "word " * 41}, {"description": ""}]
)
def test_what_is_no_label_is_asked_for_again(change: dict[str, str]) -> None:
    good = {"label": "Plan", "description": "word " * 40}
    replies = iter([{**good, **change}, good])
    backend = ScriptedBackend(lambda request: json.dumps({"labels": [next(replies)]}))
    (rollout,), notes = asyncio.run(label_by_model([Rollout("a", "p", (Chunk(0, "one"),))], backend))
    assert (rollout.chunks[0].label, notes, backend.calls) == ("Plan", (), 2)
