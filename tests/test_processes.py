"""Threads, forks, interrupts and memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import tracemalloc

import numpy as np
import pytest

import fallline as fl

BIG = 300_000  # enough for several threads


def run(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **env},
        check=False,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("backend", fl.backends())
def test_a_forked_child_can_step(backend: str) -> None:
    done = run(
        f"""
        import os, signal, warnings
        import numpy as np
        import fallline as fl
        warnings.simplefilter("ignore")  # Python's own warning about forks of threaded processes
        fl.set_num_threads(2)
        x, g = np.ones({BIG}, np.float32), np.ones({BIG}, np.float32)
        opt = fl.Adam(x, backend={backend!r})
        opt.step(g)
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            for _ in range(3):
                opt.step(g)
            os._exit(0 if opt.state[0]["step"] == 4 and (x == x[0]).all() else 1)
        _, status = os.waitpid(child, 0)
        assert status == 0, status
        opt.step(g)
        """
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("backend", fl.backends())
def test_many_threads_step_their_own_optimizers(backend: str) -> None:
    expected = np.ones(BIG, np.float32)
    grads = np.linspace(-1, 1, BIG, dtype=np.float32)
    reference = fl.Adam(expected, backend=backend)
    for _ in range(4):
        reference.step(grads)

    def work(x: np.ndarray) -> None:
        opt = fl.Adam(x, backend=backend)
        for _ in range(4):
            opt.step(grads)

    arrays = [np.ones(BIG, np.float32) for _ in range(8)]
    threads = [threading.Thread(target=work, args=(x,)) for x in arrays]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for x in arrays:
        np.testing.assert_array_equal(x, expected)


def test_a_second_thread_in_the_same_optimizer_is_refused() -> None:
    inside, go_on = threading.Event(), threading.Event()

    def lr(step: int) -> float:
        inside.set()
        assert go_on.wait(30)
        return 0.1

    x = np.ones(4)
    opt = fl.SGD(x, lr=lr)
    thread = threading.Thread(target=opt.step, args=(np.ones(4),))
    thread.start()
    assert inside.wait(30)
    for call in (lambda: opt.step(np.ones(4)), opt.state_dict):
        with pytest.raises(RuntimeError, match="another thread"):
            call()
    go_on.set()
    thread.join()
    assert (x == 0.9).all()
    opt.step(np.ones(4))


@pytest.mark.parametrize("backend", fl.backends())
def test_ctrl_c_leaves_a_whole_state(backend: str) -> None:
    done = run(
        f"""
        import os, signal, threading, time
        import numpy as np
        import fallline as fl
        x, g = np.zeros(200_000), np.ones(200_000)
        opt = fl.HeavyBall(x, lr=1.0, momentum=0.0, backend={backend!r}) if hasattr(
            fl, "HeavyBall") else fl.SGD(x, lr=1.0, backend={backend!r})
        opt.step(g)
        for _ in range(10):
            threading.Timer(0.03, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                while True:
                    opt.step(g)
            except KeyboardInterrupt:
                pass
            steps = opt.state_dict()["fallline"]["steps"]
            assert (x == -steps).all(), (x, steps)
        print("whole")
        """
    )
    assert done.stdout.strip() == "whole", done.stderr


def test_a_step_allocates_nothing_that_grows() -> None:
    for backend, bound in (("native", 20_000), ("numpy", 8_000_000), ("numba", 8_000_000)):
        if backend not in fl.backends():
            continue
        peaks = []
        for n in (1_000_000, 4_000_000):
            x, g = np.ones(n, np.float32), np.ones(n, np.float32)
            opt = fl.AdamW(x, backend=backend)
            opt.step(g, max_norm=1.0)
            tracemalloc.start()
            opt.step(g, max_norm=1.0)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        # A thousandth of a byte an element: the Python backends list their blocks.
        assert peaks[1] - peaks[0] < 3_000_000 * 0.02, backend
        assert peaks[1] < bound, backend


def test_the_native_core_allocates_nothing_that_grows() -> None:
    psutil = pytest.importorskip("psutil")
    n = 20_000_000
    x, g = np.ones(n, np.float32), np.ones(n, np.float32)
    opt = fl.AdamW(x, backend=fl.backends()[0])
    opt.step(g, max_norm=1.0)
    process = psutil.Process()
    before = process.memory_info().rss
    for _ in range(3):
        opt.step(g, max_norm=1.0)
    assert process.memory_info().rss - before < 4_000_000


def test_flush_to_zero_set_by_others_changes_nothing() -> None:
    torch = pytest.importorskip("torch")
    x, g = np.full((2, 2000), 1e-40, np.float32)
    y = x.copy()
    if not torch.set_flush_denormal(True):
        pytest.skip("no flush-to-zero on this CPU")
    try:
        fl.SGD(x, lr=0.5, backend="native").step(g)
    finally:
        torch.set_flush_denormal(False)
    fl.SGD(y, lr=0.5, backend="native").step(g)
    np.testing.assert_array_equal(x.view(np.uint32), y.view(np.uint32))
    assert x.view(np.uint32).all()


def test_exotic_signal_handlers_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    fl.SGD(np.ones(2), backend="numpy").step(np.ones(2))
    assert signal.getsignal(signal.SIGINT) is before
