"""What is finished is on disk: the file and its lines (`file`, `lines`, `contents`), and a run that writes it and goes
on with it (`of_run`)."""
