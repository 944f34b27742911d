"""What a training run did, from its log alone: one HTML file, and a PNG of each figure.

- `reading`: log.jsonl as records, checked
- `headline`: held-out accuracy before and after, and why nothing was learned where nothing was
- `series`, `figures`: which curves are drawn, as points
- `thought_types`, `transitions`: what was chosen, and what followed what
- `scales`, `svg`, `png`: how that is drawn, in the page and as files
- `page`: the HTML
"""

from hierarchical_reasoning.training.report.writing import Report, write_report

__all__ = ["Report", "write_report"]
