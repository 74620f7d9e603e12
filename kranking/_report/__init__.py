"""Building blocks of reports: tables, self-contained HTML pages, plots, and writing them to files."""

from kranking._report._page import bullet_list as bullet_list
from kranking._report._page import heading as heading
from kranking._report._page import html_page as html_page
from kranking._report._page import image as image
from kranking._report._page import paragraph as paragraph
from kranking._report._plot import panels as panels
from kranking._report._plot import save_figure as save_figure
from kranking._report._table import Html as Html
from kranking._report._table import aligned_table as aligned_table
from kranking._report._table import html_table as html_table
from kranking._report._table import markdown_list as markdown_list
from kranking._report._table import markdown_table as markdown_table
from kranking._report._table import terminal_table as terminal_table
from kranking._report._write import write_files as write_files
from kranking._report._write import write_report as write_report
