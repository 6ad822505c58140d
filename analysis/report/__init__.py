"""`report.html`: one page that needs nothing else, with every figure, table, hole and origin of the numbers."""

from analysis.report.page import page

__all__ = ["page"]
