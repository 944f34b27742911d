"""From the journals of all shards to what a study found: results files, statistics, a summary, a report.

A merge asks no model and may be made at any time: what is owed then is left out, and said to be missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierarchical_reasoning.assembly import Run, assemble
from hierarchical_reasoning.compare.journals import ArmJournals, Key
from hierarchical_reasoning.compare.layout import StudyFiles
from hierarchical_reasoning.compare.matching import all_arms, choose_twins
from hierarchical_reasoning.compare.plan import (
    ArmPlan,
    StudyPlan,
    StudyProblem,
    read_plan,
    read_record,
    read_study_problems,
    write_record,
)
from hierarchical_reasoning.compare.record import StudyRecord, study_record
from hierarchical_reasoning.compare.statistics import ArmOutcomes
from hierarchical_reasoning.compare.summary import summary_markdown
from hierarchical_reasoning.compare.voting import valued_most, voted
from hierarchical_reasoning.compare.work import ShardRecord
from hierarchical_reasoning.errors import OutputError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.reasoning_parts import no_examples
from hierarchical_reasoning.results.file import results_lines
from hierarchical_reasoning.results.records import ResultEntry, ResultsHead
from hierarchical_reasoning.results.summary import Plan, summarize
from hierarchical_reasoning.results.trees import summarize_trees
from hierarchical_reasoning.runner import results_head
from hierarchical_reasoning.wording import counted
from taxonomy.atomic import write_atomically, written_atomically

if TYPE_CHECKING:
    from hierarchical_reasoning.compare.report import Report


def merge(directory: Path) -> StudyRecord:
    """Write the results of every arm, and what they show beside each other.

    Raises:
        UsageError, TaxonomyError: files of the study, or those that it was begun with, cannot be used.
    """
    files = StudyFiles(directory)
    plan, problems = read_plan(files), read_study_problems(files).problems
    matched, waiting = choose_twins(files, plan, problems)
    with files.changing():
        arms = all_arms(plan, matched)
        merging = _Merging(files, plan, problems)
        outcomes = [merging.write(arm, matched.twin(arm.name)) for arm in arms]
        cautions = tuple(text for arm in arms for text in merging.cautions(arm))
        record = study_record(plan, arms, problems, matched, outcomes, waiting, cautions)
        write_record(files.comparison, record)
        write_atomically(files.summary, summary_markdown(record).encode())
    return record


class _Merging:
    """The results files of a study, arm by arm."""

    def __init__(self, files: StudyFiles, plan: StudyPlan, problems: Sequence[StudyProblem]) -> None:
        self._files, self._plan, self._problems = files, plan, problems
        self._runs: dict[str, Run] = {}
        self._shards = [
            record
            for path in sorted(files.shards.glob("*.json"))
            if (record := read_record(path, ShardRecord)) is not None
        ]

    def write(self, arm: ArmPlan, twin: str | None) -> ArmOutcomes:
        """Write the results file of an arm; returns what the statistics need of it."""
        journals = ArmJournals(self._files, arm.run)

        def entries() -> Iterator[ResultEntry]:
            return self._entries(arm, journals)

        if journals.header is not None:
            head = self._head(arm, journals, entries)
            path = self._files.results(arm.name)
            try:
                with written_atomically(path) as file:
                    for line in results_lines(head, entries()):
                        file.write(line.encode())
            except OSError as error:
                raise OutputError(
                    f"{path} cannot be written ({error.strerror}); make room, then --merge"
                ) from error
        return ArmOutcomes.of(
            arm.name, entries(), samples=self._plan.samples, label=self._plan.label(arm), twin=twin
        )

    def cautions(self, arm: ArmPlan) -> Iterator[str]:
        """Without which the arm's results mislead."""
        label = self._plan.label(arm)
        yield from (f"{label}: {text}" for text in self._run(arm).cautions)
        if arm.votes == 1:
            return
        journals = ArmJournals(self._files, arm.run)
        made = [key for key in self._keys(self._plan.samples * arm.votes) if key in journals.outcomes]
        errors = sum(journals.outcomes[key] is Outcome.ERROR for key in made)
        if errors:
            yield f"{label}: {errors:,} of {counted(len(made), 'sample')} ended in an error, and cannot be chosen"
        if arm.is_choice:
            samples = filter(None, map(journals.entry, made))
            valued = Counter(one.value is not None for one in samples if one.extracted_answer is not None)
            if valued[False]:
                said = f"{valued[False]:,} of {counted(valued.total(), 'answer')} could not be valued"
                yield f"{label}: {said}, and cannot be chosen"

    def _keys(self, samples: int) -> list[Key]:
        return [(problem.id, sample) for problem in self._problems for sample in range(samples)]

    def _entries(self, arm: ArmPlan, journals: ArmJournals) -> Iterator[ResultEntry]:
        """What counts: an entry a problem and sample, or a choice for each."""
        seed = self._plan.common.seed
        ballot = self._run(arm).verifier.ballot
        for problem in self._problems:
            for sample in range(self._plan.samples):
                if arm.votes == 1:
                    entry = journals.entry((problem.id, sample))
                    if entry is not None:
                        yield entry
                    continue
                first = sample * arm.votes
                voters = [journals.entry((problem.id, first + i)) for i in range(arm.votes)]
                there = [entry for entry in voters if entry is not None]
                if len(there) < arm.votes:
                    continue
                if arm.is_choice:
                    yield valued_most(there, number=sample)
                else:
                    yield voted(there, number=sample, seed=seed, ballot=ballot)

    def _head(
        self, arm: ArmPlan, journals: ArmJournals, entries: Callable[[], Iterator[ResultEntry]]
    ) -> ResultsHead:
        run = self._run(arm)
        header = journals.header
        assert header is not None, "there is a journal"
        samples = self._plan.samples
        keys = self._keys(samples)
        searched = run.config.search is not None
        summary = summarize(
            # What a choice was valued is told in its notes; the summary would choose once more.
            (entry.model_copy(update={"value": None}) if arm.is_choice else entry for entry in entries()),
            plan=Plan(len(keys), samples, self._plan.common.seed, run.verifier.ballot),
            superseded=() if arm.is_vote else journals.superseded(set(self._keys(samples * arm.votes))),
            sessions=None if arm.is_vote else journals.sessions,
            trees=None
            if not searched
            else summarize_trees(
                journals.trees(keys),
                ballot=run.verifier.ballot,
                calibrated=run.config.learns_values and run.config.path_reward != "value",
            ),
        )
        besides = {
            "backends": self._backends(arm),
            "notes": [*run.notes, *dict.fromkeys(note for shard in self._shards for note in shard.notes)],
            "arm": arm.name,
            "votes": arm.votes,
            "chosen_by": arm.chosen_by,
        }
        as_written = replace(run, config=run.config.model_copy(update={"samples": samples}))
        return results_head(as_written, summary, header, besides)

    def _run(self, arm: ArmPlan) -> Run:
        if arm.run not in self._runs:
            config = self._plan.config(self._plan.arm(arm.run))
            self._runs[arm.run] = assemble(config, no_examples(config))
        return self._runs[arm.run]

    def _backends(self, arm: ArmPlan) -> Mapping[str, Any]:
        """What was asked, as the first shard that asked it says."""
        return next((shard.backends[arm.run] for shard in self._shards if arm.run in shard.backends), {})


def write_report(directory: Path) -> Report:
    """Write the report of a study that was merged; raises as `write_reported`."""
    from hierarchical_reasoning.compare.report import write_reported
    from hierarchical_reasoning.compare.study import open_study

    return write_reported(open_study(directory).reported(), StudyFiles(directory).report)
