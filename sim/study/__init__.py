"""A study: a question, its runs, and their records read back."""
