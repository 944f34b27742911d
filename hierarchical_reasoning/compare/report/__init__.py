"""The report of a comparison study: one HTML file that opens anywhere, its figures and tables as files, and a
summary in Markdown.

- `data`: what a report is made from
- `gathering`, `traces`, `boards`: one pass through the entries: counts, and traces packed for the page
- `contents`: all that a report shows; `study_charts`, `thought_charts` its charts as data
- `markup`, `tree_table`, `page`: how that is drawn in the page; `page/` its style and scripts
- `pictures`, `tables`, `summary`, `writing`: the files
"""

from hierarchical_reasoning.compare.report.data import ReportedArm, ReportedProblem, ReportedStudy
from hierarchical_reasoning.compare.report.writing import Report, write_reported

__all__ = ["Report", "ReportedArm", "ReportedProblem", "ReportedStudy", "write_reported"]
