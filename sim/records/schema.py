"""Columns of the two record tables that every run writes (design: records are tidy, one value a row).

Names of `SITES` are categories: ten thousand sites judged in fifty rounds are five million rows, and a name spelled out
in each would take four times the memory of the numbers. In the Parquet file they are text under a dictionary.
"""

ROUNDS = {  # one row a round
    "run": "str",  # run id
    "round": "int32",  # 0 = before any training
    "bytes_down": "int64",  # server -> sites in this round, to all that were asked
    "bytes_up": "int64",  # sites -> server in this round, from all that answered
    "sites": "int32",  # sites that answered in this round; all that were asked, without system.dropout
    "loss": "float64",  # validation loss of the server model, weighted by rows
    "step_norm": "float64",  # Euclidean norm of the server's step
}

SITES = {  # one row a (round, site, split, metric)
    "run": "category",
    "round": "int32",
    "site": "category",
    "split": "category",  # "valid" | "test"
    "rows": "int32",  # patients scored
    "events": "int32",  # of whom with the event
    "model": "category",  # "shared" | "local" | "pooled" | "oracle"
    "metric": "category",
    "value": "float64",  # NaN where the site cannot define it (one class only, no comparable pair)
}
