"""In-context examples per thought type: a few good chunks out of many.

For each thought type of a level, at most `sampled` distinct chunks of `min_words` to `max_words` words are
drawn; `superset` of them are picked, best first, and `shown` are what a prompt shows. Best, without a model,
means near the mean of the drawn chunks while unlike those already picked (maximal marginal relevance,
Carbonell and Goldstein 1998). Where there are too few chunks of that length, others are drawn as well, and a
note says so. `taxonomy.examples_by_model` lets a language model pick instead.

The supersets are cached as `examples_cache_level_{L}.json`, keyed by a hash of all that affects them.
"""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from taxonomy.atomic import write_atomically
from taxonomy.directory import ChunkRow, load_taxonomy, read_labeled_chunks
from taxonomy.errors import ExamplesCacheError
from taxonomy.model import Taxonomy, ThoughtType

_RELEVANCE_SHARE = 0.7
"""Weight of nearness to the mean against unlikeness to what was picked before (lambda of the MMR paper)."""
_CACHE_VERSION = 1


@dataclass(frozen=True)
class ExampleParameters:
    """How examples are chosen."""

    superset: int = 15
    """Kept per thought type."""
    sampled: int = 30
    """Drawn per thought type, to pick the superset from."""
    min_words: int = 50
    max_words: int = 400
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.superset <= self.sampled:
            raise ValueError(f"superset is {self.superset}, 1 to {self.sampled} (sampled) is allowed")
        if not 0 <= self.min_words <= self.max_words:
            raise ValueError(f"min_words is {self.min_words}, 0 to {self.max_words} (max_words) is allowed")


@dataclass(frozen=True)
class LevelExamples:
    """The examples of every thought type of one level."""

    level: int
    superset: Mapping[str, tuple[str, ...]]
    """By the thought type's name, best first; empty where nothing is known."""
    notes: tuple[str, ...]
    """Where the examples differ from what was asked for, in sentences."""
    from_cache: bool = False

    def shown(self, count: int = 5) -> dict[str, tuple[str, ...]]:
        """The best `count` per thought type, by name; fewer where there are fewer."""
        if count < 0:
            raise ValueError(f"count is {count}, 0 or more is allowed (--num_icl_examples)")
        return {name: texts[:count] for name, texts in self.superset.items()}


def examples_for_level(
    tree_path: Path | str,
    level: int,
    *,
    parameters: ExampleParameters | None = None,
    cache_dir: Path | str | None = None,
) -> LevelExamples:
    """Examples from a taxonomy directory's chunks; from a bare GML file, those that its nodes carry.

    Args:
        tree_path: what `load_taxonomy` takes.
        level: of the taxonomy.
        parameters: None for the defaults.
        cache_dir: where the superset is kept between runs; None keeps nothing.

    Raises:
        TaxonomyFileError, LevelError: as `load_taxonomy` and `Taxonomy.at_level` raise them.
    """
    parameters = parameters or ExampleParameters()
    taxonomy = load_taxonomy(tree_path)
    thought_types = taxonomy.at_level(level)
    rows = read_labeled_chunks(tree_path, level)
    key = examples_key(taxonomy, thought_types, rows, parameters)
    cache = None if cache_dir is None else examples_cache_path(cache_dir, level)
    if cache is not None and (cached := read_examples_cache(cache, level, key=key)) is not None:
        return cached
    examples = choose_examples(taxonomy, level, rows, parameters)
    if cache is not None:
        write_examples_cache(cache, examples, key=key)
    return examples


def choose_examples(
    taxonomy: Taxonomy, level: int, rows: Sequence[ChunkRow], parameters: ExampleParameters
) -> LevelExamples:
    """Choose from chunks in memory; reads and writes nothing."""
    drawn, notes = draw_chunks(taxonomy, level, rows, parameters)
    return LevelExamples(level, most_relevant_first(drawn, parameters.superset), notes)


def draw_chunks(
    taxonomy: Taxonomy, level: int, rows: Sequence[ChunkRow], parameters: ExampleParameters
) -> tuple[dict[str, list[str]], tuple[str, ...]]:
    """By thought type's name, the texts to pick from, in no order; and notes on what they are."""
    thought_types = taxonomy.at_level(level)
    notes: list[str] = []
    texts_of = _texts_by_type(thought_types, rows, notes)
    drawn: dict[str, list[str]] = {}
    others: list[str] = []
    for thought_type in thought_types:
        texts = texts_of[thought_type.name] or _examples_of_nodes(taxonomy, thought_type)
        fitting, added = _draw(thought_type.name, texts, level, parameters)
        drawn[thought_type.name] = fitting + added
        if added:
            others.append(f"{thought_type.name!r} ({len(fitting)}, and {len(added)} others)")
        elif not fitting:
            notes.append(f"{thought_type.name!r} has no examples")
    if others:
        notes.append(
            f"too few chunks of {parameters.min_words} to {parameters.max_words} words, so shorter or longer ones were "
            f"taken as well as examples: {', '.join(others)}"
        )
    return drawn, tuple(notes)


def examples_cache_path(cache_dir: Path | str, level: int) -> Path:
    return Path(cache_dir) / f"examples_cache_level_{level}.json"


def write_examples_cache(path: Path, examples: LevelExamples, *, key: str) -> None:
    """Write atomically; `key` must be a hash of all that affects the examples."""
    content = {
        "key": key,
        "level": examples.level,
        "superset": {name: list(texts) for name, texts in examples.superset.items()},
        "notes": list(examples.notes),
    }
    write_atomically(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def read_examples_cache(path: Path, level: int, *, key: str) -> LevelExamples | None:
    """None where there is no cache, or one made from something else.

    Raises:
        ExamplesCacheError: the file cannot be read as JSON, or is of another shape than what is cached.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ExamplesCacheError(
            f"{path}: the cache of examples cannot be read: {reason}; delete it, or choose another --cache_dir"
        ) from error
    if not isinstance(content, dict) or content.get("key") != key:
        return None
    superset, notes = content.get("superset"), content.get("notes")
    if not isinstance(superset, dict) or not all(map(_are_texts, (notes, *superset.values()))):
        raise ExamplesCacheError(
            f"{path}: the cache of examples is damaged: expected lists of texts in 'superset' and 'notes'; delete it, "
            "or choose another --cache_dir"
        )
    examples = {name: tuple(texts) for name, texts in superset.items()}
    return LevelExamples(level, examples, tuple(notes or ()), from_cache=True)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def examples_key(
    taxonomy: Taxonomy,
    thought_types: Sequence[ThoughtType],
    rows: Sequence[ChunkRow],
    parameters: ExampleParameters,
) -> str:
    """A hash of all that affects which examples are chosen without a model."""
    named = [(kind.name, kind.label, _examples_of_nodes(taxonomy, kind)) for kind in thought_types]
    chunks = [(row.text, row.label) for row in rows]
    content = json.dumps([_CACHE_VERSION, asdict(parameters), named, chunks])
    return hashlib.sha256(content.encode()).hexdigest()


def _examples_of_nodes(taxonomy: Taxonomy, thought_type: ThoughtType) -> list[str]:
    """Distinct examples that came with the node and those below it."""
    nodes = taxonomy.subtree(thought_type.node_id)
    return list(dict.fromkeys(text for node in nodes for text in node.examples))


def _texts_by_type(
    thought_types: Sequence[ThoughtType], rows: Sequence[ChunkRow], notes: list[str]
) -> dict[str, list[str]]:
    """Distinct texts per name. A row says which thought type it is of by its name or, where that is unique,
    its label."""
    label_count = Counter(kind.label for kind in thought_types)
    name_of = {kind.label: kind.name for kind in thought_types if label_count[kind.label] == 1}
    name_of.update((kind.name, kind.name) for kind in thought_types)
    texts: dict[str, dict[str, None]] = {kind.name: {} for kind in thought_types}
    unplaced: Counter[str] = Counter()
    for row in rows:
        if row.label not in name_of:
            unplaced[row.label] += 1
        elif row.text.strip():
            texts[name_of[row.label]][row.text.strip()] = None
    notes.extend(
        f"{count} chunks labeled {label!r} give no examples: this level has no single thought type so called"
        for label, count in sorted(unplaced.items())
    )
    return {name: list(found) for name, found in texts.items()}


def _draw(
    name: str, texts: Sequence[str], level: int, parameters: ExampleParameters
) -> tuple[list[str], list[str]]:
    """At most `sampled` texts: those of the right length, and others where these do not make a superset."""
    random_source = random.Random(f"{parameters.seed}/{level}/{name}")
    fitting: list[str] = []
    others: list[str] = []
    for text in sorted(texts):
        right_length = parameters.min_words <= len(text.split()) <= parameters.max_words
        (fitting if right_length else others).append(text)
    drawn = random_source.sample(fitting, min(parameters.sampled, len(fitting)))
    if len(drawn) >= parameters.superset:
        return drawn, []
    return drawn, random_source.sample(others, min(parameters.sampled - len(drawn), len(others)))


def most_relevant_first(drawn: Mapping[str, Sequence[str]], count: int) -> dict[str, tuple[str, ...]]:
    """The best `count` of each thought type's texts, best first, by maximal marginal relevance."""
    everything = [text for texts in drawn.values() for text in texts]
    if not everything:
        return dict.fromkeys(drawn, ())
    from taxonomy.embedding.masked_tfidf import tfidf

    vectors = tfidf(everything)
    picked: dict[str, tuple[str, ...]] = {}
    start = 0
    for name, texts in drawn.items():
        own = vectors[start : start + len(texts)]
        start += len(texts)
        # Rows are of unit length, so products are cosines.
        likeness = (own @ own.T).toarray() if len(texts) else []
        picked[name] = tuple(texts[position] for position in _most_relevant(likeness, count))
    return picked


def _most_relevant(likeness: Sequence[Sequence[float]], count: int) -> list[int]:
    """Maximal marginal relevance on a matrix of cosines; the mean likeness to all stands for relevance."""
    relevance = [sum(row) / len(row) for row in likeness]
    picked: list[int] = []
    left = list(range(len(relevance)))
    while left and len(picked) < count:
        best = max(left, key=lambda item: round(_marginal(item, picked, relevance, likeness), 9))
        picked.append(best)
        left.remove(best)
    return picked


def _marginal(
    item: int, picked: Sequence[int], relevance: Sequence[float], likeness: Sequence[Sequence[float]]
) -> float:
    repetition = max((likeness[item][other] for other in picked), default=0.0)
    return _RELEVANCE_SHARE * relevance[item] - (1 - _RELEVANCE_SHARE) * repetition
