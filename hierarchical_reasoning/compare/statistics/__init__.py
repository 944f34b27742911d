"""The statistics of a comparison study: from how arms ended the same problems to a table of comparisons.

Pure functions and frozen records. `StudyOutcomes` goes in, families of comparisons are declared, `study_statistics`
finds the numbers, and `sentence` says what one of them shows.
"""

from hierarchical_reasoning.compare.statistics.declared import Family, Settings, default_families
from hierarchical_reasoning.compare.statistics.inputs import ArmOutcomes, ProblemFacts, Solved, StudyOutcomes
from hierarchical_reasoning.compare.statistics.power import mcnemar_power, minimum_detectable, required_n
from hierarchical_reasoning.compare.statistics.records import (
    Adjusted,
    ArmComparison,
    ArmRecord,
    Detectable,
    Difference,
    ErrorBounds,
    PairedResult,
    PValue,
    Stratification,
    Stratum,
    StudyStatistics,
)
from hierarchical_reasoning.compare.statistics.sentences import sentence
from hierarchical_reasoning.compare.statistics.study import study_statistics

__all__ = [
    "Adjusted",
    "ArmComparison",
    "ArmOutcomes",
    "ArmRecord",
    "Detectable",
    "Difference",
    "ErrorBounds",
    "Family",
    "PValue",
    "PairedResult",
    "ProblemFacts",
    "Settings",
    "Solved",
    "Stratification",
    "Stratum",
    "StudyOutcomes",
    "StudyStatistics",
    "default_families",
    "mcnemar_power",
    "minimum_detectable",
    "required_n",
    "sentence",
    "study_statistics",
]
