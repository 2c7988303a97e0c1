"""Data frames as tables on the terminal."""

import pandas as pd
from rich.table import Table
from rich.text import Text

MAX_SITES = 30  # sites in a printed table


def printed(frame: pd.DataFrame, title: str) -> Table:
    """A data frame as a table, floats with three decimals."""
    table = Table(*frame.columns, title=title)
    for values in frame.itertuples(index=False):
        table.add_row(*(Text(f"{value:.3f}" if isinstance(value, float) else str(value)) for value in values))
    return table


def printed_sites(frame: pd.DataFrame, title: str) -> Table:
    """A data frame with one row per site and a column `rows` as a table; of many sites the largest MAX_SITES."""
    table = printed(frame.loc[frame["rows"].nlargest(MAX_SITES, keep="first").index.sort_values()], title)
    if len(frame) > MAX_SITES:
        table.caption = f"the {MAX_SITES} largest of {len(frame)} sites"
    return table
