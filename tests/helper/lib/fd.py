"""Descriptor work for the suites that a shell cannot do.

fd.py nonblock FD...             set O_NONBLOCK
fd.py pipe-size FD [SIZE]        print, or set, the capacity of a pipe
fd.py queued FD                  print how many bytes wait in a pipe
fd.py fill FD                    fill what room a pipe has left with blanks
fd.py seek FD OFFSET             move a file offset
fd.py shutdown FD                end the sending side of a socket
fd.py packets FD                 print each packet of a socket, a line each
fd.py packet-pipe FD -- COMMAND...  run COMMAND with a pipe in packet mode at FD
                                 that holds five packets of 1000 bytes
fd.py sample COUNT               print COUNT bytes of a fixed random stream
fd.py pairs [--seqpacket|--pty] A:B... -- COMMAND...
                                 run COMMAND with stream sockets, or packet
                                 sockets, or a raw terminal and its master,
                                 at A and B
fd.py past-quota -- COMMAND...   run COMMAND while this user's pipes take all the
                                 memory that pipe(7) allows for them
fd.py stop FD                    stop the output of a terminal, as ^S does
fd.py pty FD -- COMMAND...       run COMMAND with a raw terminal at FD, and
                                 print what it writes there
"""

import fcntl
import os
import random
import signal
import socket
import struct
import sys
import termios
import tty


def nonblock(*descriptors: str) -> None:
    for descriptor in descriptors:
        os.set_blocking(int(descriptor), False)


def pipe_size(descriptor: str, size: str | None = None) -> None:
    if size is None:
        print(fcntl.fcntl(int(descriptor), fcntl.F_GETPIPE_SZ))
    else:
        fcntl.fcntl(int(descriptor), fcntl.F_SETPIPE_SZ, int(size))


def queued(descriptor: str) -> None:
    answer = fcntl.ioctl(int(descriptor), termios.FIONREAD, b"\0" * 4)
    print(struct.unpack("i", answer)[0])


def fill(descriptor: str) -> None:
    # A description of its own: O_NONBLOCK must not show on the shared one.
    own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        while True:
            os.write(own, b" ")
    except BlockingIOError:
        os.close(own)


def seek(descriptor: str, offset: str) -> None:
    os.lseek(int(descriptor), int(offset), os.SEEK_SET)


def shutdown(descriptor: str) -> None:
    with socket.socket(fileno=os.dup(int(descriptor))) as sock:
        sock.shutdown(socket.SHUT_WR)


def packets(descriptor: str) -> None:
    with socket.socket(fileno=os.dup(int(descriptor))) as sock:
        while packet := sock.recv(65536):
            print(repr(packet.decode()), flush=True)


def packet_pipe(descriptor: str, separator: str, *command: str) -> None:
    assert separator == "--"
    reader, writer = os.pipe2(os.O_DIRECT)
    for _ in range(5):
        os.write(writer, bytes(1000))
    os.close(writer)
    os.dup2(reader, int(descriptor))
    os.close(reader)
    run(list(command))


def sample(count: str) -> None:
    sys.stdout.buffer.write(random.Random(count).randbytes(int(count)))


def run(command: list[str]) -> None:
    # Python ignores these two, and a child would inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    os.execvp(command[0], command)


def stream_pair() -> tuple[int, int]:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return left.detach(), right.detach()


def packet_pair() -> tuple[int, int]:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return left.detach(), right.detach()


def terminal_pair() -> tuple[int, int]:
    master, terminal = os.openpty()
    tty.setraw(terminal)
    return terminal, master


def pairs(*arguments: str) -> None:
    split = arguments.index("--")
    wanted, command = list(arguments[:split]), list(arguments[split + 1 :])
    make = stream_pair
    if wanted[0].startswith("--"):
        kinds = {"--seqpacket": packet_pair, "--pty": terminal_pair}
        make = kinds[wanted.pop(0)]
    numbers = [[int(number) for number in pair.split(":")] for pair in wanted]
    # Out of the way of each other; what is left below is gone after the exec.
    base = max(max(pair) for pair in numbers) + 1
    for pair in numbers:
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, base) for end in make()]
        for end, number in zip(ends, pair, strict=True):
            os.dup2(end, number)
    run(command)


def pty(descriptor: str, separator: str, *command: str) -> None:
    assert separator == "--"
    theirs, ours = terminal_pair()
    child = os.fork()
    if child == 0:
        os.dup2(theirs, int(descriptor))
        os.close(ours)
        os.close(theirs)
        run(list(command))
    os.close(theirs)
    try:
        while chunk := os.read(ours, 65536):
            os.write(1, chunk)
    except OSError:  # EIO: the last holder of the terminal has closed it
        pass
    wait_for(child)


def wait_for(child: int) -> None:
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


def past_quota(separator: str, *command: str) -> None:
    assert separator == "--"
    with open("/proc/sys/fs/pipe-max-size") as limit:
        size = int(limit.read())
    kept = []  # a pipe at its limit has two pages, which nobody is refused
    while size > 2 * os.sysconf("SC_PAGE_SIZE"):
        kept.append(os.pipe())
        try:
            fcntl.fcntl(kept[-1][1], fcntl.F_SETPIPE_SZ, size)
        except PermissionError:
            size //= 2
    child = os.fork()
    if child == 0:
        run(list(command))
    wait_for(child)


def stop(descriptor: str) -> None:
    termios.tcflow(int(descriptor), termios.TCOOFF)


COMMANDS = {
    "nonblock": nonblock,
    "pipe-size": pipe_size,
    "queued": queued,
    "fill": fill,
    "seek": seek,
    "shutdown": shutdown,
    "packets": packets,
    "packet-pipe": packet_pipe,
    "sample": sample,
    "pairs": pairs,
    "past-quota": past_quota,
    "stop": stop,
    "pty": pty,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
