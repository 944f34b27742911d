"""In-context examples chosen by a model: what is asked, what is taken, what is paid for twice (nothing)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backends import (
    AuthenticationError,
    Message,
    Request,
    Sampling,
    ScriptedBackend,
    UnparsedSchemaError,
)
from taxonomy import Chunk, ExamplesCacheError, Rollout
from taxonomy.building.directory_writer import write_taxonomy_directory
from taxonomy.building.given_labels import build_taxonomy
from taxonomy.examples import ExampleParameters, LevelExamples, examples_cache_path, examples_for_level
from taxonomy.examples_by_model import choose_with_model, schema_for

KINDS = ("Add", "Check", "Plan")
N_CHUNKS = 8
FEW = ExampleParameters(superset=4, sampled=6, min_words=0)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three thought types at level 1, eight chunks of each."""
    chunks = [
        Chunk(i, f"{kind} text {number} {'word ' * number}".strip(), kind, f"To {kind.lower()} things.")
        for i, (kind, number) in enumerate((kind, number) for kind in KINDS for number in range(N_CHUNKS))
    ]
    rollouts = [Rollout("r", "a problem", tuple(chunks))]
    write_taxonomy_directory(build_taxonomy(rollouts, levels=2), tmp_path / "tree")
    return tmp_path / "tree"


def asked_about(request: Request) -> str:
    match = re.search('^"(.+)": ', request.messages[0].content, re.MULTILINE)
    assert match is not None
    return match[1]


def excerpts(request: Request) -> list[str]:
    return re.findall(r"<excerpt number=\d+>\n(.*)\n</excerpt>", request.messages[0].content)


def best(*numbers: int) -> str:
    return json.dumps({"best": numbers})


def last_first(request: Request) -> str:
    n = len(excerpts(request))
    return best(*range(n, n - 4, -1))


async def chosen(tree: Path, backend: ScriptedBackend, cache_dir: Path | None = None) -> LevelExamples:
    return await choose_with_model(tree, 1, backend, parameters=FEW, cache_dir=cache_dir)


async def test_the_model_is_asked_once_a_thought_type_and_its_order_is_kept(tree: Path) -> None:
    backend = ScriptedBackend(last_first)
    examples = await chosen(tree, backend)
    assert sorted(map(asked_about, backend.requests)) == sorted(KINDS)
    for request in backend.requests:
        name, shown = asked_about(request), excerpts(request)
        assert len(shown) == 6
        assert all(text.startswith(f"{name} text") for text in shown)
        assert examples.superset[name] == tuple(shown[::-1][:4])
        assert (request.role, request.sampling.temperature) == ("examples", 0.0)
        prompt = request.messages[0].content
        assert f'"{name}": To {name.lower()} things.' in prompt
        assert "the 4 best excerpts" in prompt
    assert (examples.level, examples.notes, examples.from_cache) == (1, (), False)


async def test_what_the_model_leaves_open_is_filled_up_and_said(tree: Path) -> None:
    backend = ScriptedBackend(
        lambda request: {"Add": best(3), "Check": best(), "Plan": best(1, 2, 3, 4, 5, 6)}[
            asked_about(request)
        ],
        model_name="the-model",
    )
    examples = await chosen(tree, backend)
    by_relevance = examples_for_level(tree, 1, parameters=replace(FEW, superset=6)).superset
    shown = {asked_about(request): excerpts(request) for request in backend.requests}
    picked = shown["Add"][2]
    assert examples.superset["Add"] == (picked, *[t for t in by_relevance["Add"] if t != picked][:3])
    assert examples.superset["Check"] == by_relevance["Check"][:4]
    assert examples.superset["Plan"] == tuple(shown["Plan"][:4])
    assert sorted(examples.notes) == [
        "the-model chose 0 examples of 'Check'; 4 were added without it",
        "the-model chose 1 examples of 'Add'; 3 were added without it",
    ]


@pytest.mark.parametrize(
    "unusable", [best(0), best(7), best(2, 2), best(-1), "[1]", '{"best": ["one"]}', "1"]
)
async def test_an_unusable_reply_is_asked_for_again_and_then_an_error(tree: Path, unusable: str) -> None:
    asked: set[str] = set()

    def unusable_first(request: Request) -> str:
        again = asked_about(request) in asked
        asked.add(asked_about(request))
        return last_first(request) if again else unusable

    backend = ScriptedBackend(unusable_first)
    examples = await chosen(tree, backend)
    assert backend.calls == 6
    assert all(len(texts) == 4 for texts in examples.superset.values())
    with pytest.raises(UnparsedSchemaError, match="schema BestExcerpts"):
        await chosen(tree, ScriptedBackend(lambda _: unusable))


@given(st.integers(1, 30), st.lists(st.integers(-2, 33), max_size=8))
def test_the_schema_takes_distinct_numbers_of_excerpts(n: int, numbers: list[int]) -> None:
    usable = len(set(numbers)) == len(numbers) and all(1 <= number <= n for number in numbers)
    if usable:
        assert schema_for(n)(best=tuple(numbers)).best == tuple(numbers)
    else:
        with pytest.raises(ValueError, match=r"no excerpt|more than once"):
            schema_for(n)(best=tuple(numbers))


def test_the_schema_is_one_that_every_server_takes() -> None:
    described = schema_for(3).model_json_schema()
    assert described["properties"]["best"]["items"] == {"type": "integer"}
    assert "maximum" not in json.dumps(described)


async def test_a_second_run_asks_nothing(tree: Path, tmp_path: Path) -> None:
    first = await chosen(tree, ScriptedBackend(last_first), tmp_path)
    second = await chosen(tree, ScriptedBackend([]), tmp_path)
    assert second.from_cache
    assert (second.superset, second.notes) == (first.superset, first.notes)
    assert list(second.superset) == list(first.superset)


class _Other(ScriptedBackend):
    name = "other"


@pytest.mark.parametrize("changed", ["model", "framework", "sampling", "chunks", "wording"])
async def test_another_who_or_what_chooses_anew(
    tree: Path, tmp_path: Path, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await chosen(tree, ScriptedBackend(last_first), tmp_path)
    backend = ScriptedBackend(last_first, model_name="other" if changed == "model" else "scripted")
    if changed == "framework":
        backend = _Other(last_first)
    if changed == "chunks":
        table = tree / "labeled_chunks__level-1.csv"
        table.write_text(table.read_text().replace("Add text", "Adding text"))
    if changed == "wording":
        monkeypatch.setattr(
            "taxonomy.examples_by_model.EXCERPT", "<excerpt number={number}>\n{text}\n</excerpt>\n"
        )
    sampling = Sampling(temperature=0.5) if changed == "sampling" else None
    again = await choose_with_model(tree, 1, backend, parameters=FEW, cache_dir=tmp_path, sampling=sampling)
    assert backend.calls == 3
    assert not again.from_cache
    without_model = examples_for_level(tree, 1, parameters=FEW, cache_dir=tmp_path)
    assert not without_model.from_cache


async def test_an_error_keeps_what_was_paid_for(tree: Path, tmp_path: Path) -> None:
    broken = ScriptedBackend(last_first, fail_at={1: AuthenticationError("the key is wrong")})
    with pytest.raises(AuthenticationError):
        await chosen(tree, broken, tmp_path)
    failed = asked_about(broken.requests[1])
    mended = ScriptedBackend(last_first)
    examples = await chosen(tree, mended, tmp_path)
    assert [asked_about(request) for request in mended.requests] == [failed]
    assert examples == await chosen(tree, ScriptedBackend(last_first))
    assert (await chosen(tree, ScriptedBackend([]), tmp_path)).from_cache


async def test_every_reply_is_on_disk_before_the_next_question(tree: Path, tmp_path: Path) -> None:
    on_disk: list[int] = []

    def counting(request: Request) -> str:
        path = examples_cache_path(tmp_path, 1)
        on_disk.append(len(json.loads(path.read_text())["superset"]) if path.exists() else 0)
        return last_first(request)

    await chosen(tree, ScriptedBackend(counting, max_concurrency=1, delay_s=0.01), tmp_path)
    assert on_disk == [0, 1, 2]


async def test_thought_types_are_asked_about_side_by_side(tree: Path) -> None:
    class Crowd(ScriptedBackend):
        now, most = 0, 0

        async def _complete(self, request: Request):  # type: ignore[no-untyped-def]
            self.now += 1
            self.most = max(self.most, self.now)
            completion = await super()._complete(request)
            self.now -= 1
            return completion

    for limit, most in ((64, 3), (2, 2)):
        backend = Crowd(last_first, delay_s=0.01, max_concurrency=limit)
        await chosen(tree, backend)
        assert backend.most == most


class _Small(ScriptedBackend):
    """A model with little context, in which each excerpt is 100 tokens."""

    def __init__(self, context: int) -> None:
        super().__init__(last_first, model_name="small")
        self._context = context

    @property
    def context_length(self) -> int:
        return self._context

    def count_tokens(self, messages: Sequence[Message], *, completion: bool = True) -> int:
        return 100 * messages[0].content.count("<excerpt")


@pytest.mark.parametrize(("room", "shown"), [(600, 6), (599, 5), (450, 4)])
async def test_excerpts_that_do_not_fit_are_not_shown_and_that_is_said(
    tree: Path, room: int, shown: int
) -> None:
    context = room + Sampling().max_tokens
    backend = _Small(context)
    examples = await chosen(tree, backend)
    assert [len(excerpts(request)) for request in backend.requests] == [shown] * 3
    left_out = [note for note in examples.notes if "were not shown to small" in note]
    assert len(left_out) == (0 if shown == 6 else 3)
    if left_out:
        assert f"{6 - shown} of 6 examples of" in left_out[0]
        assert f"context of {context} tokens" in left_out[0]


async def test_no_question_where_nothing_is_to_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "tree.gml"
    path.write_text(
        'graph [ directed 1\nnode [ id 0 label "Root" ]\n'
        'node [ id 1 label "A" examples "only one" ]\n'
        'node [ id 2 label "B" ]\nedge [ source 0 target 1 ]\nedge [ source 0 target 2 ]\n]\n'
    )
    examples = await choose_with_model(path, 1, ScriptedBackend([]))
    assert examples.superset == {"A": ("only one",), "B": ()}
    assert "'B' has no examples" in examples.notes


async def test_a_cache_that_cannot_be_read_is_an_error(tree: Path, tmp_path: Path) -> None:
    examples_cache_path(tmp_path, 1).write_text("{")
    with pytest.raises(ExamplesCacheError, match="delete it"):
        await chosen(tree, ScriptedBackend([]), tmp_path)


async def test_text_in_braces_is_only_text(tmp_path: Path) -> None:
    texts = ["take {n} and {text}", "then {0} {count!r}", r"\boxed{4}"]
    chunks = tuple(Chunk(i, text, "Add", "To {name} things.") for i, text in enumerate(texts))
    write_taxonomy_directory(build_taxonomy([Rollout("r", "p", chunks)]), tmp_path / "tree")
    backend = ScriptedBackend([best(1, 2, 3)])
    examples = await choose_with_model(tmp_path / "tree", 0, backend)
    assert sorted(*examples.superset.values()) == sorted(texts)
    assert sorted(excerpts(backend.requests[0])) == sorted(texts)
