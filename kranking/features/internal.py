"""Internals of the declarations that other rooms use; not part of the public API."""

from kranking._rows import Origin as Origin
from kranking.features._bounded_float32 import BoundedFloat32 as BoundedFloat32
from kranking.features._column_types import column_types as column_types
from kranking.features._column_types import read_columns as read_columns
from kranking.features._columns import BOUND as BOUND
from kranking.features._encode_raw import encode_raw as encode_raw
from kranking.features._encode_raw import host_side as host_side
from kranking.features._feature import InputSpec as InputSpec
from kranking.features._hash import hash_integers as hash_integers
from kranking.features._hash import hash_strings as hash_strings
from kranking.features._labels import check_label_column as check_label_column
from kranking.features._labels import check_label_type as check_label_type
from kranking.features._labels import check_label_types as check_label_types
from kranking.features._labels import class_counts as class_counts
from kranking.features._labels import label_column as label_column
from kranking.features._labels import label_values as label_values
from kranking.features._labels import weight_values as weight_values
from kranking.features._model_input import ModelInput as ModelInput
from kranking.features._schema import check_features as check_features
from kranking.features._schema import check_no_label_is_read as check_no_label_is_read
from kranking.features._schema import check_tasks as check_tasks
from kranking.features._schema import from_config as from_config
from kranking.features._schema import model_inputs as model_inputs
from kranking.features._schema import to_config as to_config
from kranking.features._tables import rows_within as rows_within

__all__ = [
    "BOUND",
    "BoundedFloat32",
    "InputSpec",
    "ModelInput",
    "Origin",
    "check_features",
    "check_label_column",
    "check_label_type",
    "check_label_types",
    "check_no_label_is_read",
    "check_tasks",
    "class_counts",
    "column_types",
    "encode_raw",
    "from_config",
    "hash_integers",
    "hash_strings",
    "host_side",
    "label_column",
    "label_values",
    "model_inputs",
    "read_columns",
    "rows_within",
    "to_config",
    "weight_values",
]
