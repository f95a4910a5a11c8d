"""Values of several readers of Parquet in one form, to be compared and written as JSON."""

import datetime as dt
import decimal


def plain(value):
    """Times in ISO 8601, decimals as text, bytes in hex; rows, structs and maps as objects, lists as lists."""
    if hasattr(value, "asDict"):  # a row from Spark
        value = value.asDict()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    return str(value) if isinstance(value, decimal.Decimal) else value
