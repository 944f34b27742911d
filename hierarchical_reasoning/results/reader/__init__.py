"""What runs found, read back: results files and journals, entry by entry, as figures, rows, tables and data frames."""

from hierarchical_reasoning.results.reader.comparison import Agreement, Comparison
from hierarchical_reasoning.results.reader.rows import (
    ENTRY_COLUMNS,
    STEP_COLUMNS,
    selected,
    table_rows,
    total_usage,
)
from hierarchical_reasoning.results.reader.run_files import RunFacts, RunFile, open_run
from hierarchical_reasoning.results.reader.tables import check_export_path, to_frame, write_csv, write_table

__all__ = [
    "ENTRY_COLUMNS",
    "STEP_COLUMNS",
    "Agreement",
    "Comparison",
    "RunFacts",
    "RunFile",
    "check_export_path",
    "open_run",
    "selected",
    "table_rows",
    "to_frame",
    "total_usage",
    "write_csv",
    "write_table",
]
