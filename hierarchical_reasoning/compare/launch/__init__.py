"""Studies on a cluster: Slurm is handed the shards as a job array, and what depends on them.

`settings` says what is asked for, `scripts` what runs, `submission` hands it over and knows what is queued, `slurm` is
Slurm's own commands, and `in_job` is what a job does before its time is over. Slurm is never taken because it happens
to be there: ``--launcher slurm`` names it.
"""

from hierarchical_reasoning.compare.launch.settings import SlurmSettings, slurm_settings
from hierarchical_reasoning.compare.launch.slurm import QueuedTask
from hierarchical_reasoning.compare.launch.submission import (
    Job,
    check_not_queued,
    commands,
    queued,
    submit,
    submitted_jobs,
)

__all__ = [
    "Job",
    "QueuedTask",
    "SlurmSettings",
    "check_not_queued",
    "commands",
    "queued",
    "slurm_settings",
    "submit",
    "submitted_jobs",
]
