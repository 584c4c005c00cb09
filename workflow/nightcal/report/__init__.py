"""The report of a night on one page: is it good, what happened to every raw frame, and how good the masters are."""

from nightcal.report.page import make_report
from nightcal.report.plan_rows import amend, read_table, write_table
from nightcal.report.products import describe_masters, read_products, read_thumbnails, read_verdicts

__all__ = [
    "amend",
    "describe_masters",
    "make_report",
    "read_products",
    "read_table",
    "read_thumbnails",
    "read_verdicts",
    "write_table",
]
