"""The process that parsers are forked from: loaders imported once, one thread, no torch, no file ever opened in it.

Run by `ingest.sandbox` with one end of a socket pair. Each byte that arrives there carries two more sockets: `link`,
on which the child finds its request and puts its reply, and `status`, on which the zygote reports how the child
ended. When the other end of `status` closes first, the child is killed; when the first socket closes, everything
ends. The zygote itself reads no request, so a request cannot harm it.
"""

import contextlib
import gc
import os
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Callable

from ingest import cage, caged

# pid, wait status, peak resident set in KiB (bytes on macOS) of a child that has ended.
STATUS = struct.Struct("<iiq")


def main(descriptor: int) -> None:
    """Serve fork requests on a socket until it closes."""
    control = socket.socket(fileno=descriptor)
    surroundings = caged.Surroundings(pid=os.getpid(), namespaces=cage.isolate(), libraries=cage.library_folders())
    caged.preload()
    gc.collect()
    gc.freeze()  # children share these pages for longer
    _serve(control, lambda link: caged.answer(link, surroundings))
    control.close()


def _serve(control: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    children: dict[int, socket.socket] = {}
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    selector.register(wake_read, selectors.EVENT_READ)

    while True:
        for key, _ in selector.select():
            if key.fileobj is control:
                message, descriptors, _, _ = socket.recv_fds(control, 1, 2)
                if not message:
                    for pid in children:
                        os.kill(pid, signal.SIGKILL)
                    return
                link, status = (socket.socket(fileno=descriptor) for descriptor in descriptors)
                pid = os.fork()
                if pid == 0:
                    _become_child(link, answer)
                link.close()
                children[pid] = status
                selector.register(status, selectors.EVENT_READ, data=pid)
            elif key.fileobj == wake_read:
                with contextlib.suppress(BlockingIOError):
                    while os.read(wake_read, 512):
                        pass
            elif key.data in children:  # the other side hung up: nobody waits for this child any more
                selector.unregister(children[key.data])
                os.kill(key.data, signal.SIGKILL)
        _reap(children, selector)


def _become_child(link: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    """Answer one request in a fresh session and end; nothing of the zygote's stays open or runs on."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nowhere, standard)
        os.dup2(link.detach(), 3)
        os.closerange(4, 4096)
        answer(socket.socket(fileno=3))
        code = 0
    finally:
        os._exit(code)


def _reap(children: dict[int, socket.socket], selector: selectors.BaseSelector) -> None:
    while children:
        pid, wait_status, usage = os.wait4(-1, os.WNOHANG)
        if pid == 0:
            return
        status = children.pop(pid)
        with contextlib.suppress(KeyError):
            selector.unregister(status)
        with contextlib.suppress(OSError):  # the other side hung up
            status.sendall(STATUS.pack(pid, wait_status, usage.ru_maxrss))
        status.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
