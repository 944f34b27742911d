"""Episodes on disk: a file of the results format for every update, which the tools for results open.

``OUTPUT_DIR/rollouts/update-00012.json`` has what the planner was trained on in update 12,
``evaluation-00012-greedy.json`` what it did on held-out problems after that. A file is whole or not there, and is
written once advantages are known, so that nothing of an update outlives it in memory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hierarchical_reasoning.errors import OutputError
from hierarchical_reasoning.results.file import results_lines
from hierarchical_reasoning.results.records import EpisodeRecord, ResultEntry, ResultsHead
from hierarchical_reasoning.results.summary import summarize
from hierarchical_reasoning.training.episode import Episode
from hierarchical_reasoning.training.log import Mode
from taxonomy.atomic import written_atomically

FOLDER = "rollouts"
"""In ``--output_dir``."""
_NAME = re.compile(r"(?:update|evaluation)-(\d+)\b.*\.jsonl?")


class EpisodeFiles:
    """The episodes of a training run, as one of its processes writes them."""

    def __init__(self, head: ResultsHead, output_dir: Path, *, rank: int = 0, world_size: int = 1) -> None:
        """
        Args:
            head: of every file, but for its summary and what tells it from others.
            rank: which of `world_size` processes this is; with more than one, each writes files of its own.
        """
        self._head = head
        self._folder = output_dir / FOLDER
        self._suffix = "" if world_size == 1 else f"-rank{rank}"

    def write_update(
        self, update: int, epoch: int, episodes: Sequence[Episode], advantages: Sequence[float | None]
    ) -> Path:
        """What the planner is trained on in an update; takes the place of an earlier file of that update.

        Args:
            advantages: of each episode; None where it teaches nothing.

        Raises:
            OutputError: the file cannot be written.
        """
        return self._write(
            f"update-{update:05d}",
            [
                self._entry(episode, update, epoch, advantage)
                for episode, advantage in zip(episodes, advantages, strict=True)
            ],
            {"update": update, "epoch": epoch},
        )

    def write_evaluation(self, update: int, mode: Mode, episodes: Sequence[Episode]) -> Path:
        """What the planner did on held-out problems after an update. Raises OutputError."""
        return self._write(
            f"evaluation-{update:05d}-{mode}",
            [self._entry(episode, update, None, None) for episode in episodes],
            {"update": update, "mode": mode},
        )

    def keep_until(self, update: int) -> None:
        """Drop the files of all later updates, whichever process wrote them, and those that a kill left unfinished;
        for when no process writes. Raises OutputError."""
        try:
            for unfinished in self._folder.glob(".*.json*"):
                unfinished.unlink(missing_ok=True)
            for path in self._folder.glob("*.json*"):
                match = _NAME.fullmatch(path.name)
                if match is not None and int(match[1]) > update:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise self._cannot("be cleared of later updates", error) from error

    def _write(self, name: str, entries: Sequence[ResultEntry], which: dict[str, object]) -> Path:
        head = self._head.model_copy(
            update={"summary": summarize(entries), "config": self._head.config | which}
        )
        path = self._folder / f"{name}{self._suffix}.json"
        try:
            with written_atomically(path) as file:
                file.writelines(line.encode() for line in results_lines(head, entries))
        except OSError as error:
            raise self._cannot("be written to", error) from error
        return path

    def _entry(
        self, episode: Episode, update: int, epoch: int | None, advantage: float | None
    ) -> ResultEntry:
        if episode.entry is None:
            raise ValueError(
                f"episode {episode.sample} of problem {episode.problem_id!r} has no entry to write"
            )
        record = EpisodeRecord(
            update=update,
            epoch=epoch,
            reward=episode.reward,
            correct=float(episode.entry.is_correct is True),
            brevity=episode.brevity,
            characters=episode.characters,
            advantage=advantage,
        )
        return episode.entry.model_copy(update={"episode": record})

    def _cannot(self, what: str, error: OSError) -> OutputError:
        return OutputError(
            f"{self._folder} cannot {what} ({error.strerror or error}); make room, then go on with --resume, or choose "
            "another --output_dir"
        )
