"""Standard input, looked at before it is read."""

import errno
import os
import sys
import threading

HEAD = 64
STDIN = 0


def peek() -> bytes:
    """The first bytes of standard input; whoever reads file descriptor 0 afterwards still gets them all.

    Raises:
        OSError: it is closed, or cannot be read.
    """
    if sys.stdin is None:  # then descriptor 0 is free to become any other file
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    head = b""
    while len(head) < HEAD and (more := os.read(STDIN, HEAD - len(head))):
        head += more
    try:
        os.lseek(STDIN, -len(head), os.SEEK_CUR)
    except OSError:  # a pipe
        _give_back(head)
    return head


def _give_back(head: bytes) -> None:
    """Put a pipe in the place of standard input that begins with `head` and goes on with the rest."""
    rest = os.dup(STDIN)
    reader, writer = os.pipe()
    os.dup2(reader, STDIN)
    os.close(reader)

    def pump() -> None:
        with open(rest, "rb", buffering=0) as source, open(writer, "wb", buffering=0) as target:  # noqa: PTH123
            try:
                target.write(head)
                while block := source.read(1 << 16):
                    _write_all(target.fileno(), block)
            except BrokenPipeError:
                pass  # the reader has had enough

    threading.Thread(target=pump, daemon=True).start()


def _write_all(descriptor: int, block: bytes) -> None:
    while block:
        block = block[os.write(descriptor, block) :]
