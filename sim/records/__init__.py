"""Records: what every run leaves behind, and where its numbers came from."""
