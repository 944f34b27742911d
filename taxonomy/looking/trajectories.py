"""Where in a trace each thought type occurs, and what follows what: tables, per outcome of the rollouts.

Positions are normalised: a trace of n chunks covers 0 to 1, each chunk an n-th of it, and a chunk counts in
every bin that it covers by the share that it covers. So short traces leave no stripes, and long ones no weight
is lost. A transition is counted between two chunks that stand next to each other in the trace; across chunks
without a thought type none is.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from taxonomy.looking.errors import LookingError
from taxonomy.looking.frames import Frame
from taxonomy.looking.traces import LevelTraces, Trace
from taxonomy.transitions import END, START

MAX_BINS = 1000


@dataclass(frozen=True)
class PositionRow:
    """One thought type in one stretch of the traces."""

    group: str
    """"all", "correct", "wrong" or "ungraded"."""
    level: int
    node_id: str
    name: str
    bin: int
    start: float
    end: float
    """The stretch, from 0 (the beginning of a trace) to 1."""
    chunks: float
    """How many of its chunks lie there; part of one where a chunk lies in several bins."""
    share_of_type: float | None
    """Of the group's chunks of this thought type; None where it has none."""
    share_of_bin: float | None
    """Of the group's chunks in this stretch; None where there are none."""


@dataclass(frozen=True)
class TransitionRow:
    """One thought type, or the start, followed by another, or the end."""

    group: str
    level: int
    origin_id: str
    origin: str
    target_id: str
    target: str
    count: int
    share: float
    """Of all that follows the origin."""


def position_frame(traces: LevelTraces, *, bins: int = 20) -> Frame[PositionRow]:
    """For every group of traces, each thought type of the level in each bin.

    Thought types are in the order of their mean position over all traces, those that never occur last.

    Raises:
        LookingError: the number of bins is not allowed.
    """
    if not 1 <= bins <= MAX_BINS:
        raise LookingError(f"bins is {bins}, 1 to {MAX_BINS} is allowed (--bins)")
    in_order = order_by_position(traces)
    rows: list[PositionRow] = []
    for group, members in traces.groups().items():
        rows.extend(_position_rows(traces, group, _masses(members, bins), in_order, bins))
    return Frame(PositionRow, tuple(rows))


def transition_frame(traces: LevelTraces) -> Frame[TransitionRow]:
    """For every group of traces, the transitions that occur, the most frequent of each origin first."""
    name_of = {**traces.name_of, START: "start", END: "end"}
    order = {node_id: place for place, node_id in enumerate((START, *order_by_position(traces), END))}
    rows: list[TransitionRow] = []
    for group, members in traces.groups().items():
        counts = Counter(pair for trace in members for pair in _transitions(trace))
        from_origin: Counter[str] = Counter()
        for (origin, _), count in counts.items():
            from_origin[origin] += count
        in_order = sorted(counts.items(), key=lambda item: (order[item[0][0]], -item[1], order[item[0][1]]))
        rows.extend(
            TransitionRow(
                group=group,
                level=traces.level,
                origin_id=origin,
                origin=name_of[origin],
                target_id=target,
                target=name_of[target],
                count=count,
                share=count / from_origin[origin],
            )
            for (origin, target), count in in_order
        )
    return Frame(TransitionRow, tuple(rows))


def order_by_position(traces: LevelTraces) -> tuple[str, ...]:
    """The level's node ids from those that occur early to those that occur late, unused ones last."""
    middles: defaultdict[str, list[float]] = defaultdict(list)
    for trace in traces.traces:
        for step in trace.steps:
            middles[step.node_id].append((step.place + 0.5) / trace.length)
    mean = {node_id: round(sum(found) / len(found), 9) for node_id, found in middles.items()}
    node_ids = [kind.node_id for kind in traces.taxonomy.at_level(traces.level)]
    return tuple(sorted(node_ids, key=lambda node_id: mean.get(node_id, 2.0)))


def _masses(traces: Iterable[Trace], bins: int) -> dict[str, list[float]]:
    """By node id, how many chunks lie in each bin."""
    # Traces of one length share their overlaps, so each (length, place) is cut into bins once.
    counts = Counter((trace.length, step.place, step.node_id) for trace in traces for step in trace.steps)
    masses: defaultdict[str, list[float]] = defaultdict(lambda: [0.0] * bins)
    for (length, place, node_id), count in sorted(counts.items()):
        mass = masses[node_id]
        for number, share in _overlaps(length, place, bins):
            mass[number] += count * share
    return dict(masses)


def _overlaps(length: int, place: int, bins: int) -> Iterator[tuple[int, float]]:
    """(bin, share of the chunk that lies in it). In units of 1/(length*bins), where all is whole."""
    start, end = place * bins, (place + 1) * bins
    for number in range(start // length, -(-end // length)):
        inside = min(end, (number + 1) * length) - max(start, number * length)
        yield number, inside / bins


def _position_rows(
    traces: LevelTraces, group: str, masses: dict[str, list[float]], in_order: Sequence[str], bins: int
) -> Iterator[PositionRow]:
    name_of = traces.name_of
    bin_totals = [sum(mass[number] for mass in masses.values()) for number in range(bins)]
    for node_id in in_order:
        mass = masses.get(node_id, [0.0] * bins)
        total = sum(mass)
        for number in range(bins):
            yield PositionRow(
                group=group,
                level=traces.level,
                node_id=node_id,
                name=name_of[node_id],
                bin=number,
                start=number / bins,
                end=(number + 1) / bins,
                chunks=mass[number],
                share_of_type=mass[number] / total if total else None,
                share_of_bin=mass[number] / bin_totals[number] if bin_totals[number] else None,
            )


def _transitions(trace: Trace) -> Iterator[tuple[str, str]]:
    if trace.steps[0].place == 0:
        yield START, trace.steps[0].node_id
    for here, following in zip(trace.steps, trace.steps[1:], strict=False):
        if following.place == here.place + 1:
            yield here.node_id, following.node_id
    if trace.steps[-1].place == trace.length - 1:
        yield trace.steps[-1].node_id, END
