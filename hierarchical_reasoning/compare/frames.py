"""A study's tables as data frames. pandas is needed only here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hierarchical_reasoning.compare.report.tables import result_row
from hierarchical_reasoning.compare.statistics import ArmRecord
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.results.intervals import Accuracy, Estimate
from hierarchical_reasoning.results.reader import to_frame

if TYPE_CHECKING:
    import pandas as pd

    from hierarchical_reasoning.compare.record import StudyRecord
    from hierarchical_reasoning.compare.study import Study


def entries_frame(study: Study, *, steps: bool) -> pd.DataFrame:
    """A row an entry of each arm, or a row a step."""
    pandas = _pandas()
    frames = []
    for arm in study.arms:
        path = study.files.results(arm.name)
        if path.exists():
            frame = to_frame([path], steps=steps)
            frame.insert(0, "arm", arm.name)
            frames.append(frame.drop(columns="file"))
    return pandas.concat(frames, ignore_index=True) if frames else pandas.DataFrame()


def usage_frame(record: StudyRecord) -> pd.DataFrame:
    """A row an arm."""
    return _pandas().DataFrame([_usage(arm) for arm in record.statistics.arms])


def comparisons_frame(record: StudyRecord) -> pd.DataFrame:
    """A row a comparison, errors counted as not solved; the columns with `completed_` leave errors out."""
    rows = []
    for one, text in zip(record.statistics.comparisons, record.sentences, strict=True):
        completed = {f"completed_{name}": value for name, value in result_row(one.completed).items()}
        named = {"arm": one.arm, "baseline": one.baseline}
        ratio = None if one.token_ratio is None else one.token_ratio.value
        besides = {"token_ratio": ratio, "left_out": one.left_out, "sentence": text}
        rows.append({**named, **result_row(one.counting_errors), **completed, **besides})
    return _pandas().DataFrame(rows)


def _usage(arm: ArmRecord) -> dict[str, Any]:
    return {
        "arm": arm.name,
        "label": arm.label,
        "twin": arm.twin,
        "problems": arm.problems,
        "samples": arm.samples,
        **_interval("accuracy", arm.accuracy),
        **_interval("accuracy_completed", arm.accuracy_completed),
        "errors": arm.errors,
        "missing": arm.missing,
        "ungraded": arm.ungraded,
        **_interval("tokens", arm.tokens),
        **_interval("cost_usd", arm.cost_usd),
    }


def _interval(name: str, found: Accuracy | Estimate | None) -> dict[str, Any]:
    if found is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ConfigError(
            "data frames need pandas, which is not installed: pip install 'hierarchical-reasoning[tables]'"
        ) from error
    return pandas
