"""Retraining the winner of a search."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from kranking._core import finite
from kranking._files import write_json
from kranking._paths import make_folder
from kranking.data import read
from kranking.search._training import fit_best
from kranking.training import RankingEvaluation
from kranking.training.internal import keep_random_states, reset_session


@keep_random_states()
def retrain_winner(result: Any, folder: Path, export: bool) -> Any:
    """Retrains the best configuration of a `SearchResult`; writes model, metrics and bundle."""
    best, space, log, training = result.best(), result.space, result.log, result.training
    hp = space.hyperparameters()
    hp.values = dict(best.values)
    reset_session(result.seed)
    with training.strategy.scope() if training.strategy is not None else nullcontext():
        model = space(hp)
    options = {"batch_size": space.batch_size, "seed": result.seed}
    valid = fit_best(model, log, training, result.objective, **options)
    rows = read(log.test, model=model, batch_size=space.batch_size)
    evaluation = RankingEvaluation(rows, log.session, ["auc", "ne", training.hit], prefix="test_")
    test = evaluation.evaluate(model)
    make_folder(folder)
    model.save(folder / "winner.keras")
    cost = None if best.cost is None else best.cost.to_json()
    row = {"trial": best.name, "values": dict(best.values), "valid": valid, "test": test}
    write_json(folder / "winner.json", finite(row | {"cost": cost}))
    if export:
        from kranking.export import export_model

        export_model(model, folder / "bundle")
    return model
