"""Sessions of ONNX Runtime belong to one process: models work after a fork, while other threads run, and in spawned processes."""

import multiprocessing
import os
import pickle
import threading

import numpy as np
import pytest


def child(pipe, model, field, expected):
    """Decode in another process and say whether it came out the same."""
    try:
        pipe.send(np.array_equal(model.decode(model.encode(field), field.shape), expected))
    except BaseException as error:  # noqa: BLE001  # told to the parent, whatever it is
        pipe.send(repr(error))
    pipe.close()


@pytest.mark.parametrize("method", [name for name in ("fork", "spawn") if name in multiprocessing.get_all_start_methods()])
@pytest.mark.parametrize("used", [False, True])
def test_a_model_works_in_processes_started_either_way(model, field, method, used):
    fresh = pickle.loads(pickle.dumps(model))
    expected = model.decode(model.encode(field), field.shape)
    if used:
        assert np.array_equal(fresh.decode(fresh.encode(field), field.shape), expected)
    context = multiprocessing.get_context(method)
    here, there = context.Pipe()
    process = context.Process(target=child, args=(there, fresh, field, expected))
    process.start()
    assert here.poll(60), "the process hangs"
    assert here.recv() is True
    process.join(60)
    assert process.exitcode == 0
    assert np.array_equal(fresh.decode(fresh.encode(field), field.shape), expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks need POSIX")
def test_forks_while_other_threads_run_sessions_come_out_right(model, field):
    fresh = pickle.loads(pickle.dumps(model))
    expected = model.decode(model.encode(field), field.shape)
    stop, wrong = threading.Event(), []

    def decode():
        while not stop.is_set():
            if not np.array_equal(fresh.decode(fresh.encode(field), field.shape), expected):
                wrong.append(1)

    threads = [threading.Thread(target=decode) for _ in range(2)]
    for thread in threads:
        thread.start()
    context = multiprocessing.get_context("fork")
    try:
        for _ in range(8):
            here, there = context.Pipe()
            process = context.Process(target=child, args=(there, fresh, field, expected))
            process.start()
            answered = here.poll(60)
            answer = here.recv() if answered else "hangs"
            if not answered:
                process.kill()
            process.join(60)
            assert answer is True
            assert process.exitcode == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
