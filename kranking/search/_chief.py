"""The chief of a distributed search: the KerasTuner server, tolerant to lost workers."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from kranking.search._worker import MESSAGE, WORKER, as_proto

LOST_AFTER = 60.0  # seconds without a heartbeat, twelve intervals
GRACE = 15.0  # seconds for workers to reconnect to a restarted chief
_PINGS = [  # accepts the keepalive pings of workers
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
]


def serve(oracle: Any, on_end: Callable[[], None]) -> None:
    """Serves trials to workers until all have ended, at the address in the environment variables.

    The server of KerasTuner waits forever for a killed worker. Here its trial is reassigned to the next
    worker that requests one, and idle workers are kept until no trial is left that could be reassigned.

    Args:
        oracle: The oracle of the search, with its project folder set.
        on_end: Function called after each trial ends.

    Raises:
        Exception: Any exception of the oracle, after the workers have been stopped.
    """
    import grpc
    from keras_tuner.src import protos
    from keras_tuner.src.distribute.oracle_chief import OracleServicer

    address = f"{os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']}"
    servicer = type("Chief", (Chief, OracleServicer), {})(oracle, on_end)
    server = grpc.server(ThreadPoolExecutor(max_workers=1), options=_PINGS)
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    server.add_insecure_port(address)
    server.start()
    while not servicer.finished():
        time.sleep(0.2)
    server.stop(grace=5).wait()
    if servicer.failure is not None:
        raise servicer.failure


class Chief:
    """The gRPC service of KerasTuner for workers, with detection of lost workers.

    Args:
        oracle: The oracle that creates trials.
        on_end: Function called after each trial ends.
    """

    def __init__(self, oracle: Any, on_end: Callable[[], None]):
        super().__init__(oracle)  # pyright: ignore[reportCallIssue]
        self.oracle, self.on_end = oracle, on_end
        self.failure: Exception | None = None
        self._exhausted = False
        self._lock = threading.Lock()
        self._busy = 0.0
        self._heard: dict[str, float] = {}  # time of the last call by worker
        self._grace = 0.0  # no worker is stopped before this time
        if oracle.left_at_work:
            self._take_over()

    def _take_over(self) -> None:
        """Keeps the assignments of an earlier chief, and gives workers time to reconnect."""
        oracle, now = self.oracle, self._now()
        for worker, trial in oracle.left_at_work.items():
            if trial in oracle._retry_queue:
                oracle._retry_queue.remove(trial)
                oracle.ongoing_trials[worker] = oracle.trials[trial]
            self._heard[worker] = now
        self._grace = now + min(GRACE, LOST_AFTER)

    def finished(self) -> bool:
        """Whether every trial has ended and every live worker has been told to stop."""
        with self._lock:
            self._take_from_the_lost()
            if self._now() < self._grace:
                return False  # workers that waited for a trial are still unknown
            return self._closed() and not self.oracle.ongoing_trials and not self._heard

    def CreateTrial(self, request: Any, context: Any) -> Any:
        """Assigns a trial to a worker, or tells it to wait or to stop."""
        from keras_tuner.src import protos

        with self._answering():
            self._heard[request.tuner_id] = self._now()
            trial = self._next(request.tuner_id)
            return protos.get_service().CreateTrialResponse(trial=as_proto(trial))

    def GetTrial(self, request: Any, context: Any) -> Any:
        """Handles a heartbeat; after a restart of the chief, assigns the trial to its worker again."""
        from keras_tuner.src import protos

        name, oracle = dict(context.invocation_metadata()).get(WORKER), self.oracle
        with self._answering():
            if name is not None:
                self._heard[name] = self._now()
                if request.trial_id in oracle._retry_queue and name not in oracle.ongoing_trials:
                    oracle._retry_queue.remove(request.trial_id)
                    oracle.ongoing_trials[name] = oracle.trials[request.trial_id]
            trial = oracle.get_trial(request.trial_id)
            return protos.get_service().GetTrialResponse(trial=as_proto(trial))

    def UpdateTrial(self, request: Any, context: Any) -> Any:
        """Stores the metrics of a trial, unless it has ended already."""
        from keras_tuner.src import protos

        oracle, name = self.oracle, request.trial_id
        with self._answering():
            ended = name in oracle.end_order
            trial = oracle.trials[name] if ended else oracle.update_trial(name, request.metrics)
            return protos.get_service().UpdateTrialResponse(trial=as_proto(trial))

    def EndTrial(self, request: Any, context: Any) -> Any:
        """Records the end of a trial; of a trial that ran twice, the first end counts."""
        from keras_tuner.engine.trial import Trial
        from keras_tuner.src import protos

        oracle, trial = self.oracle, Trial.from_proto(request.trial)
        name = trial.trial_id
        with self._answering():
            if name in oracle.trials and name not in oracle.end_order:
                trial.message = (
                    dict(context.invocation_metadata()).get(MESSAGE, b"").decode(errors="replace")
                )
                try:
                    oracle.end_trial(trial)
                    self.on_end()
                except RuntimeError as error:  # too many consecutive failures
                    self.failure = error
            oracle._retry_queue = [one for one in oracle._retry_queue if one != name]
            running = oracle.ongoing_trials.items()
            oracle.ongoing_trials = {who: t for who, t in running if t.trial_id != name}
            return protos.get_service().EndTrialResponse()

    def _next(self, worker: str) -> Any:
        from keras_tuner.engine.trial import Trial

        oracle = self.oracle
        if worker in oracle.ongoing_trials or not self._closed():
            try:
                trial = oracle.create_trial(worker)
            except Exception as error:  # raised later in the main thread
                self.failure = error
            else:
                if trial.status != "STOPPED":
                    return trial
                self._exhausted = True
        # A running trial may still be lost, and then this worker is needed.
        waits = oracle.ongoing_trials and self.failure is None
        if not waits:
            del self._heard[worker]
        return Trial(oracle.get_space(), status="IDLE" if waits else "STOPPED")

    def _closed(self) -> bool:
        """Whether no trial is left to assign."""
        oracle = self.oracle
        if self.failure is not None:
            return True
        drawn = self._exhausted or (oracle.max_trials and len(oracle.trials) >= oracle.max_trials)
        return bool(drawn) and not oracle._retry_queue

    def _take_from_the_lost(self) -> None:
        for worker, heard in list(self._heard.items()):
            if self._now() - heard > LOST_AFTER:
                del self._heard[worker]
                trial = self.oracle.ongoing_trials.pop(worker, None)
                if trial is not None:
                    self.oracle._retry_queue.append(trial.trial_id)
                    self.oracle.save()
                    print(
                        f"Lost worker {worker}: reassigning trial {trial.trial_id} to the next worker"
                    )

    @contextmanager
    def _answering(self) -> Iterator[None]:
        with self._lock:
            start = time.monotonic()
            try:
                yield
            finally:
                self._busy += time.monotonic() - start

    def _now(self) -> float:
        # Excludes the time spent in calls, since the other workers cannot be served meanwhile.
        return time.monotonic() - self._busy
