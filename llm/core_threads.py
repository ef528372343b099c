"""Threads that each keep to one core inside of torch: many small pieces of work at once instead of one on all cores."""

import threading
from concurrent.futures import ThreadPoolExecutor


def start_core_threads(n_threads: int, name: str) -> ThreadPoolExecutor:
    """A pool whose threads use one core for a matrix product, all started before this returns; imports torch."""
    import torch

    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(n_threads, name, initializer=torch.set_num_threads, initargs=(1,))
    everybody = threading.Barrier(n_threads)
    for started in [pool.submit(everybody.wait) for _ in range(n_threads)]:
        started.result()
    torch.set_num_threads(before)  # threads started later get their cores back
    return pool
