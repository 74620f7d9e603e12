"""Feature declarations, learning them from a log, and the layer that converts features to fields."""

from kranking.features._age import Age as Age
from kranking.features._categorical import Categorical as Categorical
from kranking.features._draft import Draft as Draft
from kranking.features._embedding import Embedding as Embedding
from kranking.features._feature import Feature as Feature
from kranking.features._feature import default_embedding_dim as default_embedding_dim
from kranking.features._field_encoder import FieldEncoder as FieldEncoder
from kranking.features._files import find_files as find_files
from kranking.features._fit import fit as fit
from kranking.features._infer import infer as infer
from kranking.features._model_input import as_model_inputs as as_model_inputs
from kranking.features._numeric import Numeric as Numeric
from kranking.features._preprocessor import Preprocessor as Preprocessor
from kranking.features._raw_columns import RawColumns as RawColumns
from kranking.features._schema import field_widths as field_widths
from kranking.features._schema import from_json as from_json
from kranking.features._schema import schema_hash as schema_hash
from kranking.features._schema import to_json as to_json
from kranking.features._sequence import Pooling as Pooling
from kranking.features._sequence import Sequence as Sequence
from kranking.features._sequence import TransAct as TransAct
from kranking.features._task import Task as Task
from kranking.features._time_part import TimePart as TimePart

__all__ = [
    "Age",
    "Categorical",
    "Draft",
    "Embedding",
    "Feature",
    "FieldEncoder",
    "Numeric",
    "Pooling",
    "Preprocessor",
    "RawColumns",
    "Sequence",
    "Task",
    "TimePart",
    "TransAct",
    "as_model_inputs",
    "default_embedding_dim",
    "field_widths",
    "find_files",
    "fit",
    "from_json",
    "infer",
    "schema_hash",
    "to_json",
]
