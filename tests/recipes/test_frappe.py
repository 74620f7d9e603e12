"""BARS's protocol on Frappe."""

import importlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_frappe_on_rows_made_up(run, tmp_path):
    result = run("frappe.py", tmp_path / "out", "--model", "DCNv2")
    wanted = {"auc_mean", "auc_std", "logloss_mean", "params", "seconds_per_epoch"}
    assert set(result) == wanted
    rows = json.loads((tmp_path / "out" / "rows.json").read_text())
    assert [(row["model"], row["seed"]) for row in rows] == [("DCNv2", 2021)]
    again = run("frappe.py", tmp_path / "out", "--model", "DCNv2")  # reads the row
    assert again == result


def test_table_of_frappe_is_up_to_date(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    frappe = importlib.import_module("frappe")
    page = tmp_path / "frappe.md"
    page.write_text((ROOT / "docs" / "results" / "frappe.md").read_text())
    frappe.write_table(page, frappe.table(frappe.read_rows(frappe.ROWS)))
    assert page.read_text() == (ROOT / "docs" / "results" / "frappe.md").read_text()
