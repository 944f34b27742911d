"""Looking at a taxonomy: figures, pictures, a page to click through, trajectories, and what differs between two.

Labels and descriptions come from `taxonomy.load_taxonomy` and assignments from the directory's labeled chunks,
everywhere: no picture can disagree with a table. Each subject returns a `Frame`, rows of a dataclass that pandas
takes where it is installed. Nothing here prints; `taxonomy.cli_looking` does.

- `taxonomy.looking.stats`: sizes, silhouettes, stability and agreement, level by level
- `taxonomy.looking.plot`: PNG, SVG, or a self-contained HTML page
- `taxonomy.looking.trajectories`: where in a trace thought types occur, and what follows what
- `taxonomy.looking.diff`: two taxonomies against each other
"""

from taxonomy.looking.errors import LookingError, MissingPackageError, OutputFileError
from taxonomy.looking.frames import Frame

__all__ = ["Frame", "LookingError", "MissingPackageError", "OutputFileError"]
