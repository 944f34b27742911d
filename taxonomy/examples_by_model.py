"""In-context examples chosen by a language model: one call per thought type.

The chunks are drawn as in `taxonomy.examples`; the model then names the best of them, best first. Where it names
fewer than the superset holds, the rest come by maximal marginal relevance, and a note says so.

What is chosen goes into the same `examples_cache_level_{L}.json`, under a key that says who chose, and is written
after every reply: a second run asks nothing, one that was killed asks for the missing thought types alone, and another
model, or another wording of the question, chooses anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, cast

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator

from llm_backends import Backend, Message, Request, Sampling
from taxonomy.directory import load_taxonomy, read_labeled_chunks
from taxonomy.examples import (
    ExampleParameters,
    LevelExamples,
    draw_chunks,
    examples_cache_path,
    examples_key,
    most_relevant_first,
    read_examples_cache,
    write_examples_cache,
)
from taxonomy.model import ThoughtType

PROMPT = """\
Someone who solves problems thought by thought is about to write a thought that follows this approach:

"{name}": {description}

Below are {n} excerpts of how others thought when they followed it. Choose those to show as examples: each should \
follow the approach clearly, be understood without its surroundings, and differ from the others chosen.

{excerpts}

Reply with JSON only: {{"best": [the numbers of the {count} best excerpts, best first]}}."""
EXCERPT = "<excerpt number={number}>\n{text}\n</excerpt>"


class BestExcerpts(BaseModel):
    """The reply. `schema_for` narrows the numbers to those of the excerpts shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_excerpts: ClassVar[int]

    best: tuple[int, ...] = Field(description="Numbers of excerpts, best first, each at most once.")

    @field_validator("best")
    @classmethod
    def _are_distinct_excerpts(cls, best: tuple[int, ...]) -> tuple[int, ...]:
        # Checked here and not by the schema: not every server takes bounds of numbers.
        if unknown := [number for number in best if not 1 <= number <= cls.n_excerpts]:
            raise ValueError(f"there is no excerpt {unknown[0]}; they are numbered 1 to {cls.n_excerpts}")
        if len(set(best)) < len(best):
            raise ValueError("an excerpt is named more than once")
        return best


@lru_cache(maxsize=256)
def schema_for(n_excerpts: int) -> type[BestExcerpts]:
    """The schema of a reply about so many excerpts."""
    schema = create_model("BestExcerpts", __base__=BestExcerpts)
    schema.n_excerpts = n_excerpts
    return schema


async def choose_with_model(
    tree_path: Path | str,
    level: int,
    backend: Backend,
    *,
    parameters: ExampleParameters | None = None,
    cache_dir: Path | str | None = None,
    sampling: Sampling | None = None,
) -> LevelExamples:
    """Examples from a taxonomy directory's chunks, or those that the nodes of a bare GML file carry.

    All thought types are asked about at once, as far as the backend's own limits allow.

    Args:
        tree_path: what `load_taxonomy` takes.
        level: of the taxonomy.
        backend: who chooses; it must support schemas. Its usage is accounted to the role "examples".
        parameters: None for the defaults.
        cache_dir: where choices are kept between runs; None keeps nothing.
        sampling: None is temperature 0 and at most 512 tokens a reply.

    Raises:
        TaxonomyFileError, LevelError, ExamplesCacheError: as `examples_for_level` raises them.
        BackendError: a thought type got no usable reply; what was chosen for the others is in the cache.
    """
    parameters = parameters or ExampleParameters()
    sampling = sampling or Sampling(temperature=0.0)
    taxonomy = load_taxonomy(tree_path)
    thought_types = taxonomy.at_level(level)
    rows = read_labeled_chunks(tree_path, level)
    chunks_key = examples_key(taxonomy, thought_types, rows, parameters)
    key = _key(chunks_key, thought_types, backend, sampling)
    cache = None if cache_dir is None else examples_cache_path(cache_dir, level)
    cached = None if cache is None else read_examples_cache(cache, level, key=key)
    if cached is not None and len(cached.superset) == len(thought_types):
        return cached
    drawn, notes = draw_chunks(taxonomy, level, rows, parameters)
    ranked = most_relevant_first(drawn, parameters.sampled)
    chooser = _Chooser(backend, sampling, parameters.superset)
    known = cached or LevelExamples(level, {}, notes)
    progress = _Progress([kind.name for kind in thought_types], known, cache, key)

    async def choose_and_keep(kind: ThoughtType) -> None:
        progress.keep(kind.name, await chooser.choose(kind, drawn[kind.name], ranked[kind.name]))

    owed = [kind for kind in thought_types if kind.name not in known.superset]
    # Where one fails, the replies to the others are waited for, and kept.
    failures = await asyncio.gather(*map(choose_and_keep, owed), return_exceptions=True)
    for failure in failures:
        if failure is not None:
            raise failure
    return progress.examples


@dataclass(frozen=True)
class _Choice:
    """The superset of one thought type, best first."""

    texts: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Chooser:
    backend: Backend
    sampling: Sampling
    superset: int

    async def choose(self, kind: ThoughtType, drawn: Sequence[str], ranked: Sequence[str]) -> _Choice:
        """Ask for the best of `drawn`; `ranked` are the same texts in the order that fills up what is missing."""
        shown, notes = self._that_fit(kind, drawn, ranked)
        if len(shown) < 2:
            return _Choice(tuple(ranked[: self.superset]), notes)
        completion = await self.backend.complete(
            Request(
                (self._question(kind, shown),),
                self.sampling,
                schema=schema_for(len(shown)),
                role="examples",
            )
        )
        best = cast("BestExcerpts", completion.parsed).best[: self.superset]
        chosen = [shown[number - 1] for number in best]
        others = [text for text in ranked if text not in chosen][: self.superset - len(chosen)]
        if others:
            notes += (
                f"{self.backend.model_name} chose {len(chosen)} examples of {kind.name!r}; {len(others)} were added "
                "without it",
            )
        return _Choice((*chosen, *others), notes)

    def _that_fit(
        self, kind: ThoughtType, drawn: Sequence[str], ranked: Sequence[str]
    ) -> tuple[list[str], tuple[str, ...]]:
        """The texts to show, which is all of them where the context is long enough or not known."""
        context = self.backend.context_length
        if context is None:
            return list(drawn), ()
        for n in range(len(ranked), -1, -1):
            kept = set(ranked[:n])
            shown = [text for text in drawn if text in kept]
            tokens = self.backend.count_tokens((self._question(kind, shown),))
            if n == 0 or tokens is None or tokens + self.sampling.max_tokens <= context:
                break
        left_out = len(drawn) - len(shown)
        note = (
            f"{left_out} of {len(drawn)} examples of {kind.name!r} were not shown to {self.backend.model_name}: they "
            f"did not fit its context of {context} tokens"
        )
        return shown, (note,) if left_out else ()

    def _question(self, kind: ThoughtType, shown: Sequence[str]) -> Message:
        excerpts = [EXCERPT.format(number=number, text=text) for number, text in enumerate(shown, 1)]
        content = PROMPT.format(
            name=kind.name,
            description=kind.description,
            n=len(shown),
            excerpts="\n".join(excerpts),
            count=min(self.superset, len(shown)),
        )
        return Message("user", content)


class _Progress:
    """What was chosen so far, in memory and in the cache."""

    def __init__(self, names: Sequence[str], known: LevelExamples, cache: Path | None, key: str) -> None:
        self._names = names
        self._known = known
        self._cache = cache
        self._key = key

    def keep(self, name: str, choice: _Choice) -> None:
        superset = {**self._known.superset, name: choice.texts}
        in_order = {each: superset[each] for each in self._names if each in superset}
        self._known = LevelExamples(self._known.level, in_order, self._known.notes + choice.notes)
        if self._cache is not None:
            write_examples_cache(self._cache, self._known, key=self._key)

    @property
    def examples(self) -> LevelExamples:
        return self._known


def _key(chunks_key: str, thought_types: Sequence[ThoughtType], backend: Backend, sampling: Sampling) -> str:
    shown = [[kind.name, kind.description] for kind in thought_types]
    who = [backend.name, backend.model_name, asdict(sampling)]
    content = json.dumps([chunks_key, who, PROMPT, EXCERPT, shown])
    return hashlib.sha256(content.encode()).hexdigest()
