"""The tables of a report as HTML: heat maps of transitions, and one row an update.

They are put together here rather than in the template, since there may be a hundred thousand cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from hierarchical_reasoning.html_pages import escaped
from hierarchical_reasoning.training.log import UpdateRecord
from hierarchical_reasoning.training.report.figures import share_without_spread, tokens_a_second
from hierarchical_reasoning.training.report.headline import points_text, when
from hierarchical_reasoning.training.report.scales import dollars_text, number_text, percent_text
from hierarchical_reasoning.training.report.transitions import Cell, TransitionTables
from hierarchical_reasoning.training.report.words import Words

_GAP = '<td class="gap"></td>'


@dataclass(frozen=True)
class _Column:
    head: str
    meaning: str
    value: Callable[[UpdateRecord], str]


def _measured(value: float | None) -> str:
    return "" if value is None else number_text(value)


def _share(value: float | None) -> str:
    return "" if value is None else percent_text(value)


_COLUMNS = (
    _Column("update", "", lambda u: f"{u.update:,}"),
    _Column("epoch", "", lambda u: f"{u.epoch:,}"),
    _Column("reward", "mean", lambda u: number_text(u.reward)),
    _Column("accuracy", "on the problems trained on", lambda u: percent_text(u.accuracy)),
    _Column("{acts}", "an episode", lambda u: number_text(u.steps)),
    _Column("entropy", "nats", lambda u: number_text(u.entropy)),
    _Column("KL", "", lambda u: number_text(u.kl)),
    _Column("clipped", "share of {acts}", lambda u: percent_text(u.clip_share)),
    _Column("loss", "", lambda u: number_text(u.loss)),
    _Column("grad norm", "before it is scaled down", lambda u: number_text(u.grad_norm)),
    _Column("acting gap", "", lambda u: number_text(u.acting_gap)),
    _Column("learning rate", "", lambda u: number_text(u.learning_rate)),
    _Column("groups", "", lambda u: f"{u.groups:,}"),
    _Column("without spread", "groups that teach nothing", lambda u: f"{u.groups_without_spread:,}"),
    _Column("share", "of groups without spread", lambda u: _share(share_without_spread(u))),
    _Column("generation batches", "more than 1: groups were replaced", lambda u: f"{u.generation_batches:,}"),
    _Column("episodes", "", lambda u: f"{u.episodes:,}"),
    _Column("errors", "episodes in which a call failed", lambda u: f"{u.errors:,}"),
    _Column("calls", "in rollouts", lambda u: f"{u.calls:,}"),
    _Column("cost", "", lambda u: "" if u.cost_usd is None else dollars_text(u.cost_usd)),
    _Column("tokens", "trained on", lambda u: f"{u.trained_tokens:,}"),
    _Column("tokens/s", "", lambda u: _measured(tokens_a_second(u))),
    _Column("rollout s", "seconds", lambda u: number_text(u.rollout_seconds)),
    _Column("update s", "seconds", lambda u: number_text(u.update_seconds)),
)


def updates_table(updates: Sequence[UpdateRecord], words: Words) -> Markup:
    """One row an update; what the log has in more digits has four here."""
    heads = "".join(
        f'<th scope="col">{column.head}{f"<small>{column.meaning}</small>" if column.meaning else ""}</th>'
        for column in _COLUMNS
    ).format(acts=words.acts)
    rows = []
    for update in updates:
        first, *others = (column.value(update) for column in _COLUMNS)
        rows.append(f'<tr><th scope="row">{first}</th><td>{"</td><td>".join(others)}</td></tr>\n')
    return _markup(
        f'<table id="updates"><thead><tr>{heads}</tr></thead><tbody>\n{"".join(rows)}</tbody></table>'
    )


def heat_table(tables: TransitionTables, number_of: dict[str, int]) -> Markup:
    """Before, after and the change side by side: a row for what went before, a column for what followed.

    Args:
        tables: of one mode.
        number_of: every thought type's number, which stands at the head of its columns.
    """
    panels: list[tuple[str, Callable[[str], list[str]]]] = [
        (when(tables.first), lambda origin: _share_cells(tables, origin, tables.before))
    ]
    if tables.last is not None:
        panels += [
            (when(tables.last), lambda origin: _share_cells(tables, origin, tables.after)),
            ("change, in points", lambda origin: _change_cells(tables, origin)),
        ]
    width = len(tables.targets)
    heads = _GAP.join(f'<th scope="colgroup" colspan="{width}">{escape(title)}</th>' for title, _ in panels)
    numbers = "".join(
        f'<th scope="col"><abbr title="{escaped(name)}">{number_of[name]}</abbr></th>'
        for name in tables.targets
    )
    rows = [
        f'<tr><th scope="row">{_numbered(origin, number_of)}</th>'
        f"{_GAP.join(''.join(cells(origin)) for _, cells in panels)}</tr>\n"
        for origin in tables.origins
    ]
    groups = "<colgroup></colgroup>".join(["", *[f'<colgroup span="{width}"></colgroup>'] * len(panels)])
    return _markup(
        f'<table class="heat" id="heat-{tables.mode}">'
        f"<caption>What followed what, {tables.mode}: percent of what came after the option of the row</caption>"
        f"{groups}<thead><tr><td></td>{heads}</tr>"
        f'<tr><th scope="col">after</th>{_GAP.join([numbers] * len(panels))}</tr></thead>'
        f"<tbody>\n{''.join(rows)}</tbody></table>"
    )


def _share_cells(
    tables: TransitionTables, origin: str, cell_of: Callable[[str, str], Cell | None]
) -> list[str]:
    cells = []
    for target in tables.targets:
        cell = cell_of(origin, target)
        if cell is None:
            return [f'<td class="unvisited" colspan="{len(tables.targets)}">not visited</td>']
        if cell.count == 0:
            cells.append("<td></td>")
            continue
        told = f"{escaped(origin)} → {escaped(target)}: {cell.count:,} of {cell.visits:,}"
        cells.append(_cell("share", cell.share, f"{100 * cell.share:.0f}", told))
    return cells


def _change_cells(tables: TransitionTables, origin: str) -> list[str]:
    cells = []
    for target in tables.targets:
        before, after = tables.before(origin, target), tables.after(origin, target)
        if before is None or after is None:
            return [f'<td class="unvisited" colspan="{len(tables.targets)}">not visited in both</td>']
        difference = after.share - before.share
        if difference == 0:
            cells.append("<td></td>")
            continue
        told = (
            f"{escaped(origin)} → {escaped(target)}: {points_text(difference)} points, from {before.count:,} of "
            f"{before.visits:,} to {after.count:,} of {after.visits:,}"
        )
        points = round(100 * difference)
        text = f"{points:+}".replace("-", "−") if points else "0"
        cells.append(_cell("up" if difference > 0 else "down", abs(difference), text, told))
    return cells


def _cell(kind: str, strength: float, text: str, told: str) -> str:
    return f'<td class="{kind}" style="--p:{strength:.3f}" title="{told}">{text}</td>'


def _numbered(name: str, number_of: dict[str, int]) -> str:
    number = f"{number_of[name]} " if name in number_of else ""
    return f"{number}<bdi>{escaped(name)}</bdi>"


def _markup(html: str) -> Markup:
    return Markup(html)  # noqa: S704 - what comes from outside went through _text
