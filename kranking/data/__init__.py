"""Logs: the synthetic Homefeed log, block-wise readers, and splits by time and session."""

from kranking.data._homefeed import HomefeedLog as HomefeedLog
from kranking.data._homefeed import write_homefeed as write_homefeed
from kranking.data._homefeed_declarations import bayes_optimal as bayes_optimal
from kranking.data._homefeed_declarations import homefeed_declarations as homefeed_declarations
from kranking.data._homefeed_declarations import truth_table as truth_table
from kranking.data._homefeed_population import HOMEFEED_VERSION as HOMEFEED_VERSION

__all__ = [
    "HOMEFEED_VERSION",
    "HomefeedLog",
    "bayes_optimal",
    "homefeed_declarations",
    "truth_table",
    "write_homefeed",
]
