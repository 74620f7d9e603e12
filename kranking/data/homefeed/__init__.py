"""The synthetic Homefeed log: home-feed impressions with a documented ground truth."""

from kranking.data.homefeed._declarations import bayes_optimal as bayes_optimal
from kranking.data.homefeed._declarations import homefeed_declarations as homefeed_declarations
from kranking.data.homefeed._declarations import truth_table as truth_table
from kranking.data.homefeed._log import HomefeedLog as HomefeedLog
from kranking.data.homefeed._log import write_homefeed as write_homefeed
from kranking.data.homefeed._population import HOMEFEED_VERSION as HOMEFEED_VERSION

__all__ = [
    "HOMEFEED_VERSION",
    "HomefeedLog",
    "bayes_optimal",
    "homefeed_declarations",
    "truth_table",
    "write_homefeed",
]
