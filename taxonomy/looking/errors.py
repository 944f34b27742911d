"""Errors of looking at a taxonomy, each a `TaxonomyError`.

├── LookingError         (ValueError)   a parameter, or a taxonomy that lacks what was asked of it
├── MissingPackageError  (ImportError)  an optional package that is not installed
└── OutputFileError      (OSError)      a file that cannot be written, or may not be replaced
"""

from taxonomy.errors import TaxonomyError


class LookingError(TaxonomyError, ValueError):
    """A parameter out of range, or a taxonomy without the chunks that were asked about."""


class MissingPackageError(TaxonomyError, ImportError):
    """An optional package is not installed; the message says what installs it."""


class OutputFileError(TaxonomyError, OSError):
    """A file that cannot be written, or that is there already."""
