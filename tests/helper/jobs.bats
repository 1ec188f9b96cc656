#!/usr/bin/env bats
# Jobs over --control-fd that are served, one after the other, in one process.

load common

@test "one process serves many jobs" {
    python_script <<'END'
from jobs import *

with Server() as server:
    for number in range(300):
        data = f"job {number}".encode()
        reader, writer = pipe()
        job = server.run(hops=[filled(data), writer])
        expect(take(reader) == data, number)
        expect([r.event for r in job.records] == ["start", "hop", "end"], job.text)
        expect(job.records[0].pid == server.pid, job.text)
        expect(job.hops[0].written == len(data), job.text)
        expect(job.end.errno == 0, job.text)
    server.stop()
END
}

@test "the next job may be sent as soon as end has been read" {
    python_script <<'END'
from jobs import *

with Server() as server:
    for number in range(300):
        reader, writer = pipe()
        job = server.begin(hops=[filled(b"x" * number), writer])
        job.wait_for("end")
        expect(take(reader) == b"x" * number, number)
        os.close(job.status)
    server.stop()
END
}

@test "jobs that wait in the socket are served in their order" {
    python_script <<'END'
from jobs import *

with Server() as server:
    first, out = pipe()
    source, feed = pipe()
    jobs = [server.begin(hops=[source, out])]
    jobs[0].wait_for("start")
    readers = []
    for number in range(5):
        reader, writer = pipe()
        readers.append(reader)
        jobs.append(server.begin(hops=[filled(bytes([number])), writer]))
    time.sleep(0.1)
    for reader in readers:
        expect(not select.select([reader], [], [], 0)[0], "served out of turn")
    os.write(feed, b"first")
    os.close(feed)
    expect(take(first) == b"first", "the first one")
    for number, reader in enumerate(readers):
        expect(take(reader) == bytes([number]), number)
    for job in jobs:
        expect(job.finish().end.errno == 0, job.text)
    server.stop()
END
}

@test "several hops of a job run at once" {
    python_script <<'END'
from jobs import *

with Server() as server:
    ends, hops, feeds = [], [], []
    for _ in range(3):
        source, feed = pipe()
        reader, writer = pipe()
        ends.append(reader)
        feeds.append(feed)
        hops += [source, writer]
    job = server.begin(hops=hops)
    for number in (2, 0, 1, 2, 1, 0):
        os.write(feeds[number], b"12345")
        expect(os.read(ends[number], 10) == b"12345", number)
    for feed in feeds:
        os.close(feed)
    job.finish()
    expect([h.written for h in job.hops] == [10, 10, 10], job.text)
    expect(job.records[0].hops == 3, job.text)
    for reader in ends:
        expect(at_end(reader), "still open")
    server.stop()
END
}

@test "126 hops, all that the kernel passes at once, are served" {
    python_script <<'END'
import errno

from jobs import *

with Server() as server:
    idle = server.descriptors_when_idle()
    for _ in range(3):
        hops, readers = [], []
        for number in range(126):
            reader, writer = pipe()
            readers.append(reader)
            hops += [filled(str(number).encode()), writer]
        job = server.run(hops=hops)
        for number, reader in enumerate(readers):
            expect(take(reader) == str(number).encode(), number)
        expect(len(job.hops) == 126, len(job.hops))
        expect(all(h.errno == 0 for h in job.hops), job.text)
        eventually(lambda: server.descriptors() == idle, "descriptors closed")
    # One more is what no process can send: sendmsg(2) says so.
    many = [null() for _ in range(254)]
    try:
        server.send(b"\0", many)
        expect(False, "254 descriptors were sent")
    except OSError as error:
        expect(error.errno == errno.EINVAL, error)
    server.works()
    server.stop()
END
}

@test "one NUL asks for the defaults, and so does no payload at all" {
    python_script <<'END'
from harness import engines
from jobs import *

with Server() as server:
    for data in (b"\0", b""):
        reader, writer = pipe()
        job = server.run(hops=[filled(b"data"), writer], data=data)
        expect(take(reader) == b"data", data)
        expect(job.hops[0].engine == engines()[-1], job.text)
        expect(job.end.errno == 0, job.text)
    server.stop()
END
}

@test "each option of a job does in a job what it does in argv" {
    python_script <<'END'
from harness import engines
from jobs import *

with Server() as server:
    for form in (["-b3"], ["-b", "3"], ["--buffer-size=3"], ["--buffer-size", "3"]):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        job = server.run(*form, hops=[stored(b"1234567"), theirs.detach()])
        packets = [ours.recv(100) for _ in range(3)]
        expect(packets == [b"123", b"456", b"7"], packets)
    for engine in engines():
        for form in (["-e", engine], [f"--engine={engine}"]):
            reader, writer = pipe()
            job = server.run(*form, hops=[filled(b"x"), writer])
            expect(job.hops[0].engine == engine, job.text)
            expect(take(reader) == b"x", form)
    for form in (["-z", "8K"], ["--pipe-size=8192"]):
        source = filled(b"x")
        reader, writer = pipe()
        server.run(*form, hops=[os.dup(source), writer])
        for fd in (source, reader):
            expect(fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ) == 8192, form)
    for form, how in (
        (["-d", "0"], "closed"),
        (["--drain=0"], "closed"),
        (["-d", "0.05"], "timeout"),
        (["--drain=forever"], "eof"),
    ):
        source, feed = pipe()
        reader, writer = pipe()
        os.close(reader)
        os.write(feed, b"nobody reads this")
        job = server.begin(*form, hops=[source, writer])
        if how == "eof":
            os.close(feed)
        job.finish()
        expect(job.hops[0].broken_pipe, job.text)
        expect(job.hops[0].drain == how, job.text)
    for form in (["-p", "0.02"], ["--progress=0.02"]):
        source, feed = pipe()
        job = server.begin(*form, hops=[source, null()])
        while job.text.count(b"progress") < 3:
            expect(job.read(), job.text)
        os.close(feed)
        job.finish()
    server.stop()
END
}

@test "a job may say that its hops are one chain, which drains as one" {
    python_script <<'END'
from jobs import *

def drains(*options):
    """Seconds until both hops have ended; the second one breaks 0.4 s before."""
    hops, feeds, readers = [], [], []
    for _ in range(2):
        source, feed = pipe()
        reader, writer = pipe()
        hops += [source, writer]
        feeds.append(feed)
        readers.append(reader)
    job = server.begin("-d", "0.6", *options, hops=hops)
    job.wait_for("start")
    began = time.monotonic()
    os.close(readers[1])
    time.sleep(0.4)
    os.close(readers[0])
    job.finish()
    expect([h.drain for h in job.hops] == ["timeout"] * 2, job.text)
    for feed in feeds:
        os.close(feed)
    return time.monotonic() - began

with Server() as server:
    expect(0.6 <= drains("-C") < 0.9, "-C")
    expect(0.6 <= drains("--chain") < 0.9, "--chain")
    expect(1.0 <= drains(), "no chain")
    server.refuses("EINVAL", "--chain", "--chain=1")
    server.stop()
END
}

@test "several options of a job count together, and the last of a kind counts" {
    python_script <<'END'
from jobs import *

with Server() as server:
    reader, writer = pipe()
    os.close(reader)
    job = server.run(
        "-d", "forever", "-e", "splice", "--drain=0", "-ecopy", "-b", "1K", "--",
        hops=[filled(b"x"), writer],
    )
    expect(job.hops[0].drain == "closed", job.text)
    expect(job.hops[0].engine == "copy", job.text)
    server.stop()
END
}

@test "the command line gives the defaults, and a job changes its own alone" {
    python_script <<'END'
from jobs import *

with Server("-e", "copy", "-z", "8K", "-d", "0", "-p", "0.02", "-b", "3") as server:
    for options, packets, drain in (
        ([], [b"123", b"456", b"7"], "closed"),
        (["-b", "5", "-d", "forever"], [b"12345", b"67"], "eof"),
        ([], [b"123", b"456", b"7"], "closed"),
    ):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        broken, writer = pipe()
        os.close(broken)
        source, feed = pipe()
        job = server.begin(
            *options,
            hops=[stored(b"1234567"), theirs.detach(), filled(b"x"), writer,
                  os.dup(source), null()],
        )
        expect([ours.recv(100) for _ in packets] == packets, options)
        while b"progress" not in job.text:
            expect(job.read(), job.text)
        os.close(feed)
        job.finish()
        expect(all(hop.engine == "copy" for hop in job.hops), job.text)
        expect(job.hops[1].drain == drain, job.text)
        expect(fcntl.fcntl(source, fcntl.F_GETPIPE_SZ) == 8192, "pipe size")
    server.stop()
END
}

@test "a payload of 4096 bytes is not too long" {
    python_script <<'END'
from jobs import *

with Server() as server:
    reader, writer = pipe()
    data = b"-d0." + b"0" * (4096 - 5) + b"\0"
    expect(len(data) == 4096, len(data))
    job = server.run(hops=[filled(b"x"), writer], data=data)
    expect(job.end.errno == 0, job.text)
    expect(take(reader) == b"x", "data")
    server.stop()
END
}

@test "63 words of options are not too many" {
    python_script <<'END'
from jobs import *

with Server() as server:
    reader, writer = pipe()
    job = server.run(*["-ecopy"] * 63, hops=[filled(b"x"), writer])
    expect(job.end.errno == 0, job.text)
    expect(take(reader) == b"x", "data")
    server.stop()
END
}

@test "a hop that fails ends its job and not the process" {
    python_script <<'END'
from jobs import *

with Server() as server:
    for _ in range(3):
        good, writer = pipe()
        full = os.open("/dev/full", os.O_WRONLY)
        job = server.run(hops=[filled(b"lost"), full, filled(b"good"), writer])
        expect(job.hops[0].error == "ENOSPC", job.text)
        expect(job.hops[0].side == "write", job.text)
        expect(job.hops[1].errno == 0, job.text)
        expect(job.end.error == "ENOSPC", job.text)
        expect(take(good) == b"good", "the other hop")
        server.says("hop 0", "write")
        server.works()
    server.stop()
END
}

@test "all descriptors of a job are closed before its end record" {
    python_script <<'END'
import errno

from harness import engines
from jobs import *

with Server() as server:
    idle = server.descriptors_when_idle()
    for engine in engines():
        for number in range(100):
            source, feed = pipe()
            other, writer = pipe()
            job = server.begin("-e", engine, "-d", "forever", hops=[source, writer])
            if number % 2:
                os.close(other)  # a broken pipe closes the input as well
                os.write(feed, b"x")
                os.close(feed)
                job.wait_for("end")
            else:
                os.write(feed, b"x")
                os.close(feed)
                job.wait_for("end")
                expect(os.read(other, 10) == b"x", "data")
                expect(at_end(other), "the output is open after end")
                os.close(other)
            expect(server.descriptors() <= idle + 1, "more than the status is open")
            os.close(job.status)
    eventually(lambda: server.descriptors() == idle, "descriptors closed")
    server.stop()
END
}

@test "a descriptor that comes twice is two descriptors" {
    python_script <<'END'
from jobs import *

with Server() as server:
    idle = server.descriptors_when_idle()
    reader, writer = pipe()
    source = filled(b"x")
    job = server.run(hops=[source, writer, null(), writer])
    expect(job.end.errno == 0, job.text)
    expect(take(reader) == b"x", "data")
    eventually(lambda: server.descriptors() == idle, "descriptors closed")
    server.stop()
END
}

@test "jobs leave no flag behind on what they were given" {
    python_script <<'END'
from jobs import *

with Server("-e", "copy") as server:
    for blocking in (True, False):
        reader, writer = pipe()
        os.set_blocking(writer, blocking)
        kept = os.dup(writer)
        server.run(hops=[filled(b"x"), writer])
        expect(os.get_blocking(kept) == blocking, "O_NONBLOCK")
    server.stop()
END
}

@test "what else a socket passes along does not disturb, and is closed" {
    python_script <<'END'
from jobs import *

SO_PASSPIDFD = 76  # Linux 6.5: a descriptor for the sender comes with each
for option in (socket.SO_PASSCRED, SO_PASSPIDFD):
    try:
        server = Server(passing=option)
        with server:
            idle = server.descriptors_when_idle()
            for _ in range(20):
                server.works()
            expect(server.descriptors() == idle, "descriptors are left")
            server.stop()
    except OSError as error:
        expect(option == SO_PASSPIDFD, error)  # an older kernel
END
}
