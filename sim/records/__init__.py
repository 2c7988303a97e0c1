"""Records: the files of every run, and the provenance of its numbers."""
