"""Columns of the two record tables that every run writes (records are tidy: one value per row).

Names of `SITES` are categories: ten thousand sites judged in fifty rounds are five million rows, and a name spelled out
in each would take four times the memory of the numbers. In the Parquet file they are text under a dictionary.
"""

ROUNDS = {  # one row per round
    "run": "str",  # run id
    "round": "int32",  # 0 = before any training
    "seconds": "float64",  # simulated time since the start
    "bytes_down": "int64",  # server -> sites since the last update, to all that were asked
    "bytes_up": "int64",  # sites -> server, of the uploads that this update took
    "bytes_control": "int64",  # server -> sites, orders to train; in neither of the two
    "bytes_evaluation": "int64",  # both ways: models to be scored and their metrics, in rounds that are; in neither
    "sites": "int32",  # sites whose uploads this update took; all that were asked, where all answer
    "stale": "float64",  # mean over these of the updates that the server made since the download
    "loss": "float64",  # validation loss of the models that sites deploy, weighted by rows
    "step_norm": "float64",  # Euclidean norm of the server's step
}

SITES = {  # one row per (round, site, split, model, metric)
    "run": "category",
    "round": "int32",
    "site": "category",
    "split": "category",  # "valid" | "test"
    "rows": "int32",  # patients scored
    "events": "int32",  # of whom with the event
    "model": "category",  # "shared" | "personal" | "cluster" | "mixture" | "ensemble" | "local" | "pooled" | "oracle"
    "metric": "category",
    "value": "float64",  # NaN where the site cannot define it (one class only, no comparable pair)
}
