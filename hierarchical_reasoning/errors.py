"""What goes wrong in `hierarchical_reasoning`, as one tree.

::

    ReasoningError
    ├── VerifierError (RuntimeError)       what grades failed; the answer may be right or wrong
    ├── ProcessFailedError (RuntimeError)  one of several processes that share a study failed
    └── UsageError (ValueError)            the user can mend it; the command line exits with 2
        ├── ProblemFileError               a file of problems cannot be read as one
        ├── CategoryError                  no problem has the category asked for
        ├── GroundTruthFormatError         no verifier for these answers, or none of that name
        ├── PromptError                    a prompt template is missing or broken
        ├── PlannerError                   a planner cannot plan for this taxonomy or these problems
        ├── ConfigError                    settings that do not go together
        ├── ResultsFileError               a file of results cannot be read as one
        ├── TreeFileError                  a file of trees cannot be read as one
        ├── ValueHeadError                 a value head cannot be read, or not be used with this model
        ├── OutputError (OSError)          the results or the journal cannot be written
        └── JournalError                   a journal cannot be read
            ├── JournalLockedError         another process writes this run
            └── ResumeError                the journal belongs to a run with other settings

A message says what is wrong, the value, what is allowed, and which flag to change. Every error takes that
message alone, so that it can be pickled.
"""

from __future__ import annotations


class ReasoningError(Exception):
    """The root of the tree."""


class VerifierError(ReasoningError, RuntimeError):
    """What grades failed, such as a process that was killed; the answer may be right or wrong."""


class ProcessFailedError(ReasoningError, RuntimeError):
    """One of several processes that share a study failed; what it had finished is kept."""


class UsageError(ReasoningError, ValueError):
    """Something the user gave cannot be used as it is."""


class ProblemFileError(UsageError):
    """A file of problems cannot be read as one."""


class CategoryError(UsageError):
    """No problem of the file has the category asked for."""


class GroundTruthFormatError(UsageError):
    """No verifier has the name asked for, or none can grade these answers."""


class PromptError(UsageError):
    """A prompt template is missing or broken."""


class PlannerError(UsageError):
    """A planner cannot plan for this taxonomy or these problems."""


class ConfigError(UsageError):
    """Settings that do not go together, or name what does not exist."""


class ResultsFileError(UsageError):
    """A file of results cannot be read as one."""


class TreeFileError(UsageError):
    """A file of trees cannot be read as one."""


class ValueHeadError(UsageError):
    """A value head cannot be read, or was made for another model."""


class OutputError(UsageError, OSError):
    """The results or the journal cannot be written."""


class JournalError(UsageError):
    """A journal cannot be read."""


class JournalLockedError(JournalError):
    """Another process is writing this run."""


class ResumeError(JournalError):
    """The journal belongs to a run with other settings."""
