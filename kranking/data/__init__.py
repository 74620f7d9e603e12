"""Log data: the synthetic Homefeed log, block-wise readers, and splits by time or session."""

from kranking.data._log_files import LogFiles as LogFiles
from kranking.data._log_reader import LogReader as LogReader
from kranking.data._read import read as read
from kranking.data._read import read_csv as read_csv
from kranking.data._read import read_parquet as read_parquet
from kranking.data._split import split_by_session as split_by_session
from kranking.data._split import split_by_time as split_by_time
from kranking.data.homefeed import HOMEFEED_VERSION as HOMEFEED_VERSION
from kranking.data.homefeed import HomefeedLog as HomefeedLog
from kranking.data.homefeed import bayes_optimal as bayes_optimal
from kranking.data.homefeed import homefeed_declarations as homefeed_declarations
from kranking.data.homefeed import truth_table as truth_table
from kranking.data.homefeed import write_homefeed as write_homefeed

__all__ = [
    "HOMEFEED_VERSION",
    "HomefeedLog",
    "LogFiles",
    "LogReader",
    "bayes_optimal",
    "homefeed_declarations",
    "read",
    "read_csv",
    "read_parquet",
    "split_by_session",
    "split_by_time",
    "truth_table",
    "write_homefeed",
]
