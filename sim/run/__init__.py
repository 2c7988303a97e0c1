"""A run: from settings to records; and many of them."""
