"""DuckDB for the tools beside this file, without its progress bar.

During a query of more than two seconds DuckDB draws one on standard output, if Python runs without a script (`python -c`).
"""

import duckdb

connection = duckdb.connect()
connection.execute("SET enable_progress_bar = false")
