"""What a worker tells the chief beside KerasTuner's own calls: that it lives, and why a trial failed."""

import io
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any

WORKER = "kranking-worker"  # names of the metadata of a call
MESSAGE = "kranking-message-bin"
BEAT = 5.0  # seconds between signs of life
_LONGEST = 4000  # bytes of a message: gRPC refuses metadata of more than 8 KiB
_RETRIES = {
    "maxAttempts": 5,  # gRPC allows no more; each waits until somebody answers at the address
    "initialBackoff": "1s",
    "maxBackoff": "10s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


def persist(client: Any) -> None:
    """Has a worker repeat a call during which the chief died; a chief that is asked twice does things once.

    Args:
        client: A worker's oracle, KerasTuner's `OracleClient`, whose own calls wait for a chief but do not
            survive one.
    """
    import grpc
    from keras_tuner.src import protos

    address = f"{os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']}"
    config = json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": _RETRIES}]})
    options = [
        ("grpc.service_config", config),
        # By itself gRPC would look for a new chief every two minutes at last.
        ("grpc.max_reconnect_backoff_ms", 2_000),
        # A machine that vanished closes no connection: it is asked whether it is there.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 20_000),
    ]
    channel = grpc.insecure_channel(address, options=options)
    client.stub = protos.get_service_grpc().OracleStub(channel)


@contextmanager
def heartbeat(client: Any, trial_id: str) -> Iterator[None]:
    """Lets the chief know that a trial is still being trained.

    Args:
        client: A worker's oracle, KerasTuner's `OracleClient`.
        trial_id: The trial.
    """
    import grpc
    from keras_tuner.src import protos

    done = threading.Event()
    request = protos.get_service().GetTrialRequest(trial_id=trial_id)

    def beat() -> None:
        while not done.wait(BEAT):
            with suppress(
                grpc.RpcError
            ):  # a chief that is busy or being started again hears the next
                client.stub.GetTrial(request, timeout=BEAT, metadata=((WORKER, client.tuner_id),))

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def end_trial(client: Any, trial: Any) -> None:
    """Reports a trial's end; KerasTuner's own message leaves out why one has failed."""
    from keras_tuner.src import protos
    from keras_tuner.src.distribute.oracle_client import TIMEOUT

    if client.should_report:
        request = protos.get_service().EndTrialRequest(trial=as_proto(trial))
        message = (trial.message or "").encode()[-_LONGEST:]
        options = {"wait_for_ready": True, "timeout": TIMEOUT}
        client.stub.EndTrial(request, metadata=((MESSAGE, message),), **options)


def as_proto(trial: Any) -> Any:
    """Gives a trial as it is sent."""
    with redirect_stdout(io.StringIO()):  # KerasTuner 1.4.8 prints each condition of the space
        return trial.to_proto()
