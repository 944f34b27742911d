"""Value heads from finished runs: what their traces came to teaches what a trace promises."""
