"""Messages of a worker to the chief beyond those of KerasTuner: heartbeats and failure reasons."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kranking._process import no_output

WORKER = "kranking-worker"  # metadata keys of a call
MESSAGE = "kranking-message-bin"
BEAT = 5.0  # seconds between heartbeats
_LONGEST = 4000  # bytes of a message, since gRPC limits metadata to 8 KiB
_RETRIES = {
    "maxAttempts": 5,  # the maximum of gRPC; each attempt waits for a connection
    "initialBackoff": "1s",
    "maxBackoff": "10s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


def persist(client: Any) -> None:
    """Makes a worker retry calls that are interrupted by a restart of the chief; calls are idempotent.

    Args:
        client: The oracle of a worker, an `OracleClient` of KerasTuner, whose calls wait for a chief but
            fail if it dies.
    """
    import grpc
    from keras_tuner.src import protos

    address = f"{os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']}"
    config = json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": _RETRIES}]})
    options = [
        ("grpc.service_config", config),
        # By default, the interval between reconnection attempts grows to two minutes.
        ("grpc.max_reconnect_backoff_ms", 2_000),
        # Pings detect a dead machine, which does not close its connections.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 20_000),
    ]
    channel = grpc.insecure_channel(address, options=options)
    client.stub = protos.get_service_grpc().OracleStub(channel)


@contextmanager
def heartbeat(client: Any, trial_id: str) -> Iterator[None]:
    """Sends heartbeats to the chief while a trial is training.

    Args:
        client: The oracle of a worker, an `OracleClient` of KerasTuner.
        trial_id: Id of the trial.
    """
    import grpc
    from keras_tuner.src import protos

    done = threading.Event()
    request = protos.get_service().GetTrialRequest(trial_id=trial_id)

    def beat() -> None:
        while not done.wait(BEAT):
            with suppress(grpc.RpcError):  # a busy or restarting chief receives the next one
                client.stub.GetTrial(request, timeout=BEAT, metadata=((WORKER, client.tuner_id),))

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def end_trial(client: Any, trial: Any) -> None:
    """Reports the end of a trial, with the reason of a failure, which KerasTuner omits."""
    from keras_tuner.src import protos
    from keras_tuner.src.distribute.oracle_client import TIMEOUT

    if client.should_report:
        request = protos.get_service().EndTrialRequest(trial=as_proto(trial))
        message = (trial.message or "").encode()[-_LONGEST:]
        options = {"wait_for_ready": True, "timeout": TIMEOUT}
        client.stub.EndTrial(request, metadata=((MESSAGE, message),), **options)


def as_proto(trial: Any) -> Any:
    """Converts a trial to a protocol buffer message."""
    with no_output():  # KerasTuner 1.4.8 prints each condition of the space
        return trial.to_proto()
