"""Problems, and the files they are read from.

Read: `.json` (a list of objects, or an object with such a list under `results`, `problems` or `data`), `.jsonl` (one
object a line), `.csv` and `.tsv` (names in the first line), each also gzipped (`.gz`), and `.parquet`. A file is read
twice, row by row (`.json` once, as a whole): what stands in it decides how a row is read, and every row is checked, so
that nothing is found wrong after a run has cost something. Only the problems that are selected are kept in memory, and
every problem's id.
"""

from hierarchical_reasoning.problems.problem import Problem, ProblemSet
from hierarchical_reasoning.problems.reading import read_problems
from hierarchical_reasoning.problems.shapes import ShapeName

__all__ = ["Problem", "ProblemSet", "ShapeName", "read_problems"]
