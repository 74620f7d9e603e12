"""Parallel branches."""

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
    """Applies several layers in parallel and merges their outputs.

    `y = merge(branch₁(x), …, branch_n(x))`. Use `keras.layers.Identity()` as a branch to keep the
    input in the output, and `keras.Sequential([...])` for a branch of several layers.

    Args:
        branches: List of one or more Keras layers.
        merge: `"concat"` concatenates vectors along the last axis and tokens along the token axis;
            `"sum"` and `"mean"` need outputs of equal shape, where a width of 1 is broadcast.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Attributes:
        takes: The view that each branch takes, in order: `"flat"`, `"tokens"`, another view, a
            tuple of several, or `None` (any).

    Input shape: any, passed to every branch; or a list with one input per branch, which is itself a
        list for a branch that takes several inputs. A list that does not match the branches one by
        one is passed to every branch.
    Output shape: `(batch, Σ widths)` or `(batch, Σ tokens, dim)` for `"concat"`, otherwise that of
        one branch.
    Raises: `ValueError` at build time if the inputs do not match what the branches take, or if the
        outputs cannot be merged.

    >>> layer = kr.layers.Parallel([kr.layers.CrossNetwork(2), keras.layers.Identity()])
    >>> tuple(layer(np.ones((2, 6), "float32")).shape)
    (2, 12)
    """

    def __init__(self, branches: Sequence[keras.layers.Layer], merge: str = "concat", **kwargs):
        check_choice("merge", merge, MERGES)
        good = isinstance(branches, list | tuple) and len(branches) > 0
        if not good or not all(isinstance(b, keras.layers.Layer) for b in branches):
            raise ValueError(
                f"`branches` must be a non-empty list of Keras layers. "
                f"Received: branches={branches!r}"
            )
        if len({id(branch) for branch in branches}) < len(branches):
            raise ValueError(
                "`branches` must be distinct layers: a repeated layer would share its weights. "
                f"Received: {[branch.name for branch in branches]}"
            )
        super().__init__(**kwargs)
        self.branches = list(branches)
        self.merge = merge

    @property
    def takes(self):
        """The view that each branch takes."""
        return tuple(takes_of(branch) for branch in self.branches)

    @property
    def gives(self):
        """`"tokens"` if any branch outputs tokens, otherwise `"flat"`."""
        return "tokens" if "tokens" in map(gives_of, self.branches) else "flat"

    @property
    def inner_layers(self):
        """The branches, in which a model builder fills in attributes too."""
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
        """Returns the merged shape; raises `ValueError` if the shapes of the branches do not match."""
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
            # All widths are equal or 1, which is broadcast: a scalar term in a sum of logits.
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
        """Sums the work of the branches; merging several saves the output once more."""
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
        """Returns the input shape of each branch; raises `ValueError` if it does not match."""
        views = self._shared_out(input_shape, is_many)
        for branch, takes, view in zip(self.branches, self.takes, views, strict=True):
            if not _fits(view, takes, is_many):
                raise ValueError(
                    f"`{self.name}` expects one input for all branches, or a list with one per branch, "
                    "itself a list for a branch that takes several. "
                    f"Received: input_shape={input_shape} for {branch.name!r}, which takes {takes!r}"
                )
        return views

    def _shared_out(self, given, is_list):
        """Returns one input per branch: its item of a list if every item fits, else the whole input."""
        takes = self.takes
        own = is_list(given) and len(given) == len(takes)
        own = own and all(_fits(g, t, is_list) for g, t in zip(given, takes, strict=True))
        return list(given) if own else [given] * len(takes)


def _fits(given, takes, is_list):
    """Whether an input, or a list of several, matches what a branch takes."""
    if isinstance(takes, tuple | list):
        if not is_list(given):  # one view shared by all inner branches
            return len({view for view in leaves(takes) if view is not None}) < 2
        several = len(given) == len(takes)
        return several and all(_fits(g, t, is_list) for g, t in zip(given, takes, strict=True))
    return takes is None or is_list(given) == (takes == "fields")


def _merge_axis(shape):
    return 1 if len(shape) == 3 else len(shape) - 1
