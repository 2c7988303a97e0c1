"""Columns of the two record tables that every run writes (records are tidy: one value per row).

Names in `SITES` are categories: ten thousand sites evaluated in fifty rounds are five million rows, and a name as text
in each would take four times the memory of the numbers. In the Parquet file they are text under a dictionary.
"""

ROUNDS = {  # one row per round
    "run": "str",  # run id
    "round": "int32",  # 0 = before any training
    "seconds": "float64",  # simulated time since the start
    "bytes_down": "int64",  # server -> sites since the last update, to all asked sites
    "bytes_up": "int64",  # sites -> server, of the uploads that this update used
    "bytes_control": "int64",  # server -> sites, orders to train; in neither of the two
    "bytes_evaluation": "int64",  # both directions: models to be evaluated and their metrics; in neither of the two
    "sites": "int32",  # sites whose uploads this update used
    "stale": "float64",  # mean over these of the updates that the server made since the download
    "loss": "float64",  # validation loss of the models that sites deploy, weighted by rows
    "step_norm": "float64",  # Euclidean norm of the server's step
}

SITES = {  # one row per (round, site, split, model, metric)
    "run": "category",
    "round": "int32",
    "site": "category",
    "split": "category",  # "valid" | "test"
    "rows": "int32",  # evaluated patients
    "events": "int32",  # of whom with the event
    "model": "category",  # "shared" | "personal" | "cluster" | "mixture" | "ensemble" | "local" | "pooled" | "oracle"
    "metric": "category",
    "value": "float64",  # NaN if not defined at the site (one class only, no comparable pair)
}
