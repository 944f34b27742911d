"""The traces behind a taxonomy directory at one level: which thought type stands where, and was it right.

The directory's table says which chunk of which rollout is of which thought type. It knows neither how many
chunks a rollout has (unlabeled ones are absent) nor whether its answer was right: the rollouts do, those that are
named or, failing that, those that the build kept. Without them a trace is taken to reach from the lowest
`chunk_idx` of the whole table to its own last labeled chunk.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from taxonomy.directory import load_taxonomy
from taxonomy.looking.assignments import AssignedChunk, read_assignments
from taxonomy.looking.errors import LookingError
from taxonomy.looking.source_rollouts import KeptStages
from taxonomy.model import Taxonomy
from taxonomy.rollouts import Rollout


class Outcome(Enum):
    """How a rollout ended, as far as is known."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNGRADED = "ungraded"


@dataclass(frozen=True)
class Step:
    """A chunk with a thought type."""

    place: int
    """In its trace, counted from 0, unlabeled chunks included where they are known of."""
    node_id: str


@dataclass(frozen=True)
class Trace:
    """The labeled steps of one rollout."""

    rollout_id: str
    outcome: Outcome
    length: int
    """Of the rollout, in chunks."""
    steps: tuple[Step, ...]
    """Places grow; where chunks are unlabeled, places are left out."""


@dataclass(frozen=True)
class LevelTraces:
    """Every trace of a directory at one level."""

    taxonomy: Taxonomy
    level: int
    traces: tuple[Trace, ...]
    graded: bool
    """Whether the rollouts say of any trace that it is correct or wrong."""
    notes: tuple[str, ...]

    @property
    def name_of(self) -> dict[str, str]:
        """By node id, what the thought type is called at this level."""
        return {kind.node_id: kind.name for kind in self.taxonomy.at_level(self.level)}

    def groups(self) -> dict[str, tuple[Trace, ...]]:
        """ "all", and those outcomes that occur, where outcomes are known."""
        found: dict[str, tuple[Trace, ...]] = {"all": self.traces}
        if self.graded:
            for outcome in Outcome:
                traces = tuple(trace for trace in self.traces if trace.outcome is outcome)
                if traces:
                    found[outcome.value] = traces
        return found


def read_traces(
    tree_path: Path | str,
    level: int,
    *,
    rollouts: Iterable[Rollout] | None = None,
    stages_dir: Path | None = None,
) -> LevelTraces:
    """The traces of a directory's labeled chunks.

    Args:
        tree_path: a taxonomy directory.
        level: of the taxonomy.
        rollouts: those that it was built from, for outcomes and lengths; None for those that its build kept.
        stages_dir: where its build kept them; None for beside the directory.

    Raises:
        LookingError: the directory has no labeled chunks at this level, or the rollouts hold none of them.
        LevelError: the level does not exist.
        TaxonomyError: the directory's files are broken.
    """
    taxonomy = load_taxonomy(tree_path, flag="TREE_PATH")
    taxonomy.check_level(level, flag="--level")
    assignments = read_assignments(taxonomy, tree_path, level)
    if not assignments.chunks:
        raise LookingError(
            f"{tree_path}: holds no labeled chunks of level {level}, so where thought types occur is not known; "
            "a directory written by 'build' holds them (TREE_PATH)"
        )
    notes = list(assignments.notes)
    chunks_of: defaultdict[str, list[AssignedChunk]] = defaultdict(list)
    for chunk in assignments.chunks:
        chunks_of[chunk.rollout_id].append(chunk)
    if rollouts is None:
        rollouts = KeptStages(tree_path, stages_dir).given_rollouts()
    if rollouts is None:
        first = min(chunk.chunk_idx for chunk in assignments.chunks)
        traces = [_trace_from_table(rollout_id, chunks, first) for rollout_id, chunks in chunks_of.items()]
        notes.append(
            "correct and wrong rollouts are not told apart: the directory does not say which is which; "
            "--rollouts_file names the rollouts"
        )
        return LevelTraces(taxonomy, level, tuple(traces), False, tuple(notes))
    traces = _traces_from_rollouts(chunks_of, rollouts, notes)
    if not traces:
        raise LookingError(
            f"{tree_path}: none of its chunks is in the rollouts, by id and idx; the rollouts must be those "
            "that the taxonomy was built from (--rollouts_file)"
        )
    ungraded = sum(trace.outcome is Outcome.UNGRADED for trace in traces)
    graded = ungraded < len(traces)
    if not graded:
        notes.append(
            "correct and wrong rollouts are not told apart: none of the rollouts has an 'is_correct'"
        )
    elif ungraded:
        notes.append(f"{ungraded} of {len(traces)} rollouts have no 'is_correct': neither correct nor wrong")
    return LevelTraces(taxonomy, level, tuple(traces), graded, tuple(notes))


def _trace_from_table(rollout_id: str, chunks: list[AssignedChunk], first: int) -> Trace:
    in_order = sorted(chunks, key=lambda chunk: chunk.chunk_idx)
    steps = tuple(Step(chunk.chunk_idx - first, chunk.node_id) for chunk in in_order)
    return Trace(rollout_id, Outcome.UNGRADED, steps[-1].place + 1, steps)


def _traces_from_rollouts(
    chunks_of: Mapping[str, list[AssignedChunk]], rollouts: Iterable[Rollout], notes: list[str]
) -> list[Trace]:
    rollout_of = {rollout.id: rollout for rollout in rollouts if rollout.id in chunks_of}
    traces = []
    missing = sum(len(chunks) for rollout_id, chunks in chunks_of.items() if rollout_id not in rollout_of)
    for rollout_id, rollout in rollout_of.items():
        place_of = {chunk.idx: place for place, chunk in enumerate(rollout.chunks)}
        found = [
            Step(place_of[chunk.chunk_idx], chunk.node_id)
            for chunk in chunks_of[rollout_id]
            if chunk.chunk_idx in place_of
        ]
        missing += len(chunks_of[rollout_id]) - len(found)
        if found:
            steps = tuple(sorted(found, key=lambda step: step.place))
            traces.append(Trace(rollout_id, _outcome(rollout), len(rollout.chunks), steps))
    if missing:
        notes.append(f"{missing} chunks of the directory are left out: they are not in the rollouts")
    return traces


def _outcome(rollout: Rollout) -> Outcome:
    if rollout.is_correct is None:
        return Outcome.UNGRADED
    return Outcome.CORRECT if rollout.is_correct else Outcome.WRONG
