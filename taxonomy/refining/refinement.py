"""What came of tuning an embedder; light to import."""

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Refinement:
    """A tuned model, and whether it is any better."""

    base: str
    batches: int
    triplets: int
    """Seen in training."""
    held_out: int
    """Triplets it was measured by."""
    accuracy_before: float | None
    """Share of the held-out triplets whose positive is nearer than the negative; None where nothing was held out."""
    accuracy_after: float | None
    files: dict[str, str]
    """SHA-256 of the model's files, by path within its directory."""
    versions: dict[str, str]
    notes: tuple[str, ...]

    def is_whole(self, directory: Path) -> bool:
        """Whether the model is there, unchanged."""
        return self.files == file_hashes(directory)


def file_hashes(directory: Path) -> dict[str, str]:
    """SHA-256 of every file, by path within the directory."""
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
