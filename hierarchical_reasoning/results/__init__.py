"""What a run found: the records of a results file (`records`), its numbers (`summary`, `tally`, `sampling`,
`intervals`), the file itself (`file`), and reading files of any size (`reader`)."""
