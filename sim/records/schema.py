"""Columns of the two record tables that every run writes: tidy data, one value per row.

Text columns of `SITES` are categories: ten thousand sites evaluated in fifty rounds are five million rows, in which
plain text would take four times the memory of the numbers. In the Parquet file they are dictionary-encoded text.
"""

ROUNDS = {  # one row per round
    "run": "str",  # run id
    "round": "int32",  # 0 = before any training
    "bytes_down": "int64",  # server -> sites in this round, to all sites that were asked
    "bytes_up": "int64",  # sites -> server in this round, from all sites that answered
    "sites": "int32",  # sites that answered in this round; without system.dropout all that were asked
    "loss": "float64",  # validation loss of the server model, weighted by rows
    "step_norm": "float64",  # Euclidean norm of the server's step
}

SITES = {  # one row per (round, site, split, metric)
    "run": "category",
    "round": "int32",
    "site": "category",
    "split": "category",  # "valid" | "test"
    "rows": "int32",  # patients scored
    "events": "int32",  # patients scored who had the event
    "model": "category",  # "shared" | "local" | "pooled" | "oracle"
    "metric": "category",
    "value": "float64",  # NaN where it is not defined at the site (one class only, no comparable pair)
}
