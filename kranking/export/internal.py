"""Internals of `kranking.export` for use by other subpackages, which import them from here only."""

from kranking.export._rows import Rows as Rows
from kranking.export.bundle._log import LogRows as LogRows
from kranking.export.bundle._log import open_log as open_log
from kranking.export.bundle._manifest import MANIFEST as MANIFEST
from kranking.export.bundle._manifest import check_file as check_file
from kranking.export.bundle._manifest import check_files as check_files
from kranking.export.bundle._manifest import read_manifest as read_manifest
from kranking.export.formats._interface import onnx_signature as onnx_signature
from kranking.export.formats._interface import read_onnx as read_onnx
from kranking.export.formats._keras_file import KERAS_FILE as KERAS_FILE
from kranking.export.formats._onnx import ONNX_FILE as ONNX_FILE
from kranking.export.formats._saved_model import SAVED_MODEL as SAVED_MODEL
from kranking.export.formats._saved_model import load_saved_model as load_saved_model
from kranking.export.formats._saved_model import run_saved_model as run_saved_model
from kranking.export.formats._weights_file import WEIGHTS_FILE as WEIGHTS_FILE
from kranking.export.functions._requests import Requests as Requests
from kranking.export.functions._requests import random_columns as random_columns
from kranking.export.functions._served_function import IDS as IDS
from kranking.export.functions._served_function import RANK as RANK
from kranking.export.functions._served_function import SERVE as SERVE
from kranking.export.functions._served_function import is_of_request as is_of_request
from kranking.export.functions._signature import Signature as Signature
from kranking.export.functions._signature import Value as Value

__all__ = [
    "IDS",
    "KERAS_FILE",
    "MANIFEST",
    "ONNX_FILE",
    "RANK",
    "SAVED_MODEL",
    "SERVE",
    "WEIGHTS_FILE",
    "LogRows",
    "Requests",
    "Rows",
    "Signature",
    "Value",
    "check_file",
    "check_files",
    "is_of_request",
    "load_saved_model",
    "onnx_signature",
    "open_log",
    "random_columns",
    "read_manifest",
    "read_onnx",
    "run_saved_model",
]
