"""Branches side by side."""

from collections.abc import Sequence

import keras
from keras import ops

from kranking._core import check_choice, serializable
from kranking.layers._contract._flow import build, gives_of, leaves, takes_of
from kranking.layers._contract._shapes import is_many
from kranking.layers._contract._work import Work, elements, work_of

MERGES = ("concat", "sum", "mean")


@serializable
class Parallel(keras.layers.Layer):
    """Runs several layers side by side and merges what they give.

    `y = merge(branch₁(x), …, branch_n(x))`. Put a `keras.layers.Identity()` among the branches to
    keep the input beside them, and a `keras.Sequential([...])` for a branch of several layers.

    Args:
        branches: Keras layers, one or more.
        merge: `"concat"` joins vectors on their last axis and tokens on the token axis; `"sum"` and
            `"mean"` need outputs of equal shape, or of width 1, which is repeated.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Attributes:
        takes: What each branch takes, in order: `"flat"`, `"tokens"`, another view, a tuple of several, or
            `None` (any).

    Input shape: any, given to every branch; or a list of as many inputs as branches, one each, which is
        itself a list for a branch that takes several. A list that could only be the several inputs of one
        branch is given to every branch.
    Output shape: `(batch, Σ widths)` or `(batch, Σ tokens, dim)` for `"concat"`, otherwise that of
        one branch.
    Raises: `ValueError` at build if the inputs are not what the branches take, or their outputs cannot
        be merged.

    >>> layer = kr.layers.Parallel([kr.layers.CrossNetwork(2), keras.layers.Identity()])
    >>> tuple(layer(np.ones((2, 6), "float32")).shape)
    (2, 12)
    """

    def __init__(self, branches: Sequence[keras.layers.Layer], merge: str = "concat", **kwargs):
        check_choice("merge", merge, MERGES)
        good = isinstance(branches, list | tuple) and len(branches) > 0
        if not good or not all(isinstance(b, keras.layers.Layer) for b in branches):
            raise ValueError(
                f"`branches` must be a list of Keras layers, not empty. "
                f"Received: branches={branches!r}"
            )
        if len({id(branch) for branch in branches}) < len(branches):
            raise ValueError(
                "`branches` must be different layers: one layer twice would share its weights. "
                f"Received: {[branch.name for branch in branches]}"
            )
        super().__init__(**kwargs)
        self.branches = list(branches)
        self.merge = merge

    @property
    def takes(self):
        """What each branch takes."""
        return tuple(takes_of(branch) for branch in self.branches)

    @property
    def gives(self):
        """`"tokens"` if the branches that say so give tokens, otherwise `"flat"`."""
        return "tokens" if "tokens" in map(gives_of, self.branches) else "flat"

    @property
    def inner_layers(self):
        """The branches: what a builder fills in reaches them."""
        return self.branches

    def build(self, input_shape):
        """Builds every branch and checks that their outputs can be merged."""
        for branch, shape in zip(self.branches, self._views(input_shape), strict=True):
            build(branch, shape)
        self.compute_output_shape(input_shape)

    def call(self, inputs, training=None):
        """Runs the branches; Keras passes `training` to them."""
        views = self._shared_out(inputs, lambda given: isinstance(given, list | tuple))
        outputs = [branch(view) for branch, view in zip(self.branches, views, strict=True)]
        if len(outputs) == 1:
            return outputs[0]
        if self.merge == "concat":
            return ops.concatenate(outputs, axis=_merge_axis(outputs[0].shape))
        total = outputs[0]
        for output in outputs[1:]:
            total = total + output
        return total / len(outputs) if self.merge == "mean" else total

    def compute_output_shape(self, input_shape):
        """Returns the merged shape, or raises if the branches' shapes do not agree."""
        views = self._views(input_shape)
        shapes = [
            tuple(branch.compute_output_shape(view))
            for branch, view in zip(self.branches, views, strict=True)
        ]
        axis = _merge_axis(shapes[0])
        if self.merge == "concat":
            agree = len({len(s) for s in shapes}) == 1
            agree = agree and len({s[:axis] + s[axis + 1 :] for s in shapes}) == 1
        else:
            # One width, beside which a width of 1 is repeated: a scalar term of a sum of logits.
            agree = len({s[:-1] for s in shapes}) == 1 and len({s[-1] for s in shapes} - {1}) <= 1
        if not agree:
            raise ValueError(
                f"`{self.name}` cannot merge its branches with merge={self.merge!r}. "
                f"Received: output shapes {shapes}"
            )
        if self.merge != "concat":
            return max(shapes, key=lambda shape: shape[-1])
        total = sum(shape[axis] for shape in shapes)
        return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])

    def work(self, input_shape) -> Work:
        """Sums the work of the branches; merging several makes the output once more."""
        total = Work()
        for branch, shape in zip(self.branches, self._views(input_shape), strict=True):
            total += work_of(branch, shape)
        if len(self.branches) > 1:
            total += Work(saved_elements=elements(self.compute_output_shape(input_shape)))
        return total

    def get_config(self):
        """Returns the constructor arguments, with the branches serialized."""
        branches = [keras.saving.serialize_keras_object(branch) for branch in self.branches]
        return {**super().get_config(), "branches": branches, "merge": self.merge}

    @classmethod
    def from_config(cls, config):
        """Deserializes the branches and creates the layer."""
        branches = [keras.saving.deserialize_keras_object(b) for b in config["branches"]]
        return cls(**{**config, "branches": branches})

    def _views(self, input_shape):
        """Returns the input shape of each branch, or raises unless it is what the branch takes."""
        views = self._shared_out(input_shape, is_many)
        for branch, takes, view in zip(self.branches, self.takes, views, strict=True):
            if not _fits(view, takes, is_many):
                raise ValueError(
                    f"`{self.name}` takes one input for all of its branches, or a list of one for each, "
                    "itself a list for a branch that takes several. "
                    f"Received: input_shape={input_shape} for {branch.name!r}, which takes {takes!r}"
                )
        return views

    def _shared_out(self, given, is_list):
        """Returns one input per branch: its part of a list if every part fits, otherwise all of it."""
        takes = self.takes
        own = is_list(given) and len(given) == len(takes)
        own = own and all(_fits(g, t, is_list) for g, t in zip(given, takes, strict=True))
        return list(given) if own else [given] * len(takes)


def _fits(given, takes, is_list):
    """Whether one input, or a list of several, can be what a branch takes."""
    if isinstance(takes, tuple | list):
        if not is_list(given):  # a view that all of its own branches share
            return len({view for view in leaves(takes) if view is not None}) < 2
        several = len(given) == len(takes)
        return several and all(_fits(g, t, is_list) for g, t in zip(given, takes, strict=True))
    return takes is None or is_list(given) == (takes == "fields")


def _merge_axis(shape):
    return 1 if len(shape) == 3 else len(shape) - 1
