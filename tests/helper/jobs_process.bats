#!/usr/bin/env bats
# The process that serves jobs: how it starts, ends, and does not grow.

# shellcheck disable=SC2030,SC2031,SC2154 # run sets them

load common

# --- the end ------------------------------------------------------------------

@test "when the other end of the socket is closed it exits with 0" {
    python_script <<'END'
from jobs import *

with Server() as server:
    server.stop()  # perhaps before it has even looked
with Server() as server:
    server.works()
    server.stop()
with Server() as server:
    server.works()
    server.socket.shutdown(socket.SHUT_WR)
    server.exits(0)
END
}

@test "the end of the socket waits for the job in hand, and for those sent before" {
    python_script <<'END'
from jobs import *

with Server() as server:
    source, feed = pipe()
    reader, writer = pipe()
    last, last_writer = pipe()
    jobs = [server.begin(hops=[source, writer])]
    jobs.append(server.begin(hops=[filled(b"last"), last_writer]))
    jobs[0].wait_for("start")
    server.socket.close()
    expect(wait(server.ended, 0.2) is None, "it has left its job")
    os.write(feed, b"first")
    os.close(feed)
    expect(take(reader) == b"first", "first")
    expect(take(last) == b"last", "last")
    for job in jobs:
        expect(job.finish().end.errno == 0, job.text)
    server.exits(0)
END
}

@test "jobs sent before the end are served, whatever is in between" {
    python_script <<'END'
from jobs import *

for leave in (lambda sock: sock.close(), lambda sock: sock.shutdown(socket.SHUT_WR)):
    with Server() as server:
        source, feed = pipe()
        reader, writer = pipe()
        jobs, readers = [server.begin(hops=[source, writer])], [reader]
        jobs[0].wait_for("start")  # what follows now waits in the socket
        for number in range(3):
            server.send(b"", [])
            server.send(b"", [])
            reader, writer = pipe()
            readers.append(reader)
            data = f"job {number}".encode()
            jobs.append(server.begin(hops=[filled(data), writer], data=b""))
        leave(server.socket)
        os.write(feed, b"first")
        os.close(feed)
        got = [take(reader) for reader in readers]
        expect(got == [b"first", b"job 0", b"job 1", b"job 2"], got)
        for job in jobs:
            expect(job.finish().end.errno == 0, job.text)
        server.exits(0)
        errors = os.read(server.stderr, 4096).decode()
        expect(errors.count("job refused") == 6, errors)
END
}

@test "jobs sent before the end are served, though an answer was left unread" {
    python_script <<'END'
from jobs import *

ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
theirs.send(b"nobody reads this")
status, status_end = pipe()
reader, writer = pipe()
fds = [status_end, filled(b"data"), writer]
socket.send_fds(ours, [b"\0"], fds)
ours.close()  # the next one to receive is told ECONNRESET
for fd in fds:
    os.close(fd)
pid = spawn(["-c", str(CONTROL)], {2: 2, CONTROL: theirs.fileno()})
theirs.close()
with reaped(pid) as ended:
    expect(wait(ended) == 0, wait(ended, 0))
expect(take(reader) == b"data", "the job was not served")
expect(Job(status).finish().end.errno == 0, "the job's records")
END
}

@test "--idle-timeout ends it with 0 after so long without a job" {
    python_script <<'END'
from jobs import *

for form in (["-t", "0.4"], ["--idle-timeout=0.4"]):
    began = time.monotonic()
    with Server(*form) as server:
        server.exits(0)
        expect(0.4 <= time.monotonic() - began < 2, time.monotonic() - began)
with Server("-t", "0") as server:
    server.exits(0)
END
}

@test "--idle-timeout starts anew with each job, and a job may take longer" {
    python_script <<'END'
from jobs import *

with Server("-t", "0.4") as server:
    for _ in range(4):
        time.sleep(0.2)
        server.works()
    time.sleep(0.2)
    server.refuses("EINVAL", "-Q", "-Q")  # heard of is heard of
    source, feed = pipe()
    reader, writer = pipe()
    job = server.begin(hops=[source, writer])
    time.sleep(0.8)
    os.write(feed, b"slow")
    os.close(feed)
    expect(take(reader) == b"slow", "data")
    expect(job.finish().end.errno == 0, job.text)
    ended = time.monotonic()
    server.exits(0)
    expect(0.3 <= time.monotonic() - ended < 2, time.monotonic() - ended)
END
}

@test "without --idle-timeout it waits" {
    python_script <<'END'
from jobs import *

with Server() as server:
    expect(wait(server.ended, 1) is None, "it has ended")
    server.works()
    server.stop()
END
}

# --- signals and the lifeline -------------------------------------------------

@test "a signal between jobs ends it by that signal" {
    python_script <<'END'
import signal

from jobs import *

for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    with Server() as server:
        server.works()
        eventually(server.is_idle, "asleep")
        os.kill(server.pid, number)
        server.exits(-number)
END
}

@test "a signal amid a job completes its records first" {
    python_script <<'END'
import signal

from harness import engines
from jobs import *

for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    for engine in engines():
        with Server("-e", engine) as server:
            source, feed = pipe()
            reader, writer = pipe()
            job = server.begin(hops=[source, writer, filled(b"done"), null()])
            os.write(feed, b"12345")
            expect(os.read(reader, 5) == b"12345", "data")
            os.kill(server.pid, number)
            job.finish()
            expect(job.hops[0].error == "EINTR", job.text)
            expect(job.hops[0].written == 5, job.text)
            expect(job.end.error == "EINTR", job.text)
            expect(take(reader) == b"", "more")
            server.exits(-number)
            os.close(feed)
END
}

@test "--ignore-interrupts holds for a process that serves jobs" {
    python_script <<'END'
import signal

from jobs import *

with Server("-i") as server:
    server.works()
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE):
        os.kill(server.pid, number)
        server.works()
    os.kill(server.pid, signal.SIGTERM)
    server.exits(-signal.SIGTERM)
END
}

@test "when the reader of a job's records goes, it exits with 75" {
    python_script <<'END'
from harness import engines
from jobs import *

for engine in engines():
    with Server("-e", engine) as server:
        source, feed = pipe()
        reader, writer = pipe()
        job = server.begin(hops=[source, writer])
        job.wait_for("start")
        os.write(feed, b"12345")
        expect(os.read(reader, 5) == b"12345", "data")
        os.close(job.status)
        server.exits(75)
        server.says("status")
        expect(at_end(reader), "output left open")
        os.close(feed)
with Server() as server:
    reader, writer = pipe()
    os.close(reader)
    server.send(b"\0", [writer, null(), null()])
    server.exits(75)
END
}

@test "stopped and continued between jobs and within one, it loses nothing" {
    python_script <<'END'
import signal

from jobs import *

with Server() as server:
    for _ in range(5):
        os.kill(server.pid, signal.SIGSTOP)
        reader, writer = pipe()
        job = server.begin(hops=[filled(b"x" * 65536), writer])
        os.kill(server.pid, signal.SIGCONT)
        expect(len(take(reader)) == 65536, "data")
        expect(job.finish().end.errno == 0, job.text)
    server.stop()
END
}

# --- the start ----------------------------------------------------------------

# refused 71 WORD ARGUMENT...: no job, one line that has WORD in it.
refused() {
    local expected=$1 word=$2
    shift 2
    run --separate-stderr pump "$@"
    ((status == expected))
    [[ -z $output ]]
    [[ ${#stderr_lines[@]} == 1 && $stderr == "cuprum-pump: "*"$word"* ]]
}

@test "a control descriptor that is no packet socket is refused" {
    make_pipe in
    refused 71 'descriptor 100 (control)' -c 100 100<&"${R[in]}"
    refused 71 'descriptor 100 (control)' -c 100 100>&"${W[in]}"
    refused 71 'descriptor 100 (control)' -c 100 100<>file
    refused 71 'descriptor 100 (control)' -c 100 100</dev/null
    refused 71 'descriptor 100 (control)' -c 100 100<.
}

@test "a control descriptor that is not open is refused" {
    refused 71 'descriptor 100 (control)' -c 100
    refused 71 'descriptor 2147483647 (control)' --control-fd=2147483647
}

@test "a socket of another kind, or without another end, is refused" {
    python_script <<'END'
from jobs import *

def refused(sock):
    reader, writer = pipe()
    pid = spawn(["-c", "3"], {0: sock.fileno(), 2: writer, 3: sock.fileno()})
    os.close(writer)
    with reaped(pid) as ended:
        expect(wait(ended) == 71, (sock, wait(ended)))
        message = take(reader).decode()
        expect("descriptor 3 (control)" in message, message)
        expect(message.count("\n") == 1, message)

for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    for sock in socket.socketpair(socket.AF_UNIX, kind):
        refused(sock)
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
    refused(sock)
    sock.bind("address")
    refused(sock)
    sock.listen()
    refused(sock)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.connect(("127.0.0.1", 9))
    refused(sock)
END
}

@test "operands or a status descriptor beside --control-fd are usage errors" {
    refused 64 operands -c 100 0 1
    refused 64 operands --control-fd=100 0
    refused 64 --status-fd -c 100 -s 101
    refused 64 --status-fd --status-fd=101 --control-fd=100
}

@test "--idle-timeout without --control-fd is a usage error" {
    refused 64 --control-fd -t 1
    refused 64 --control-fd --idle-timeout=1 0 1
}

@test "a control descriptor or idle timeout that is no number is a usage error" {
    local value
    for value in '' x 1x 0x1 -1 1.5 2147483648 4294967296 '1 '; do
        refused 64 --control-fd --control-fd="$value"
    done
    for value in '' x 1x 0x1 -1 1e3 inf nan; do
        refused 64 --idle-timeout -c 100 --idle-timeout="$value"
    done
    refused 64 --control-fd -c
    refused 64 --idle-timeout -c 100 -t
}

@test "descriptor 0 serves as the control descriptor as well" {
    python_script <<'END'
from jobs import *

ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
pid = spawn(["-c", "0"], {0: theirs.fileno(), 1: 1, 2: 2})
theirs.close()
with reaped(pid) as ended:
    status, status_end = pipe()
    reader, writer = pipe()
    socket.send_fds(ours, [b"\0"], [status_end, filled(b"data"), writer])
    os.close(status_end)
    os.close(writer)
    expect(take(reader) == b"data", "data")
    expect(Job(status).finish().end.errno == 0, "end")
    ours.close()
    expect(wait(ended) == 0, wait(ended))
END
}

# --- growth and speed ---------------------------------------------------------

@test "10,000 jobs later it has the memory and descriptors of the first hundred" {
    # A sanitizer would keep what was freed: that is not the pump's.
    ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=0 \
        python_script >figures <<'END'
from harness import resident
from jobs import *

def serve(server, count):
    data = b"x" * 1000
    for number in range(count):
        reader, writer = pipe()
        hops = [filled(data), writer]
        if number % 10 == 0:
            hops += [null(), null()]
        options = ["-bx"] if number % 100 == 50 else ["-e", "copy"]
        job = server.run(*options, hops=hops)
        expect(job.is_refusal == (number % 100 == 50), job.text)
        if job.is_refusal:
            os.read(server.stderr, 4096)
        os.close(reader)

with Server() as server:
    serve(server, 100)
    descriptors, before = server.descriptors(), resident(server.pid)
    serve(server, 9900)
    after = resident(server.pid)
    print(f"resident memory after 100 jobs {before}, after 10000 {after} bytes")
    expect(after - before <= 65536, f"grew from {before} to {after}")
    expect(server.descriptors() == descriptors, "descriptors are left")
    server.stop()
END
    sed 's/^/# /' figures >&3
}

@test "the latency of a job, for the record" {
    python_script >figures <<'END'
import statistics

from jobs import *

with Server() as server:
    times = []
    for _ in range(2000):
        status, status_end = pipe()
        reader, writer = pipe()
        source = filled(b"x")
        descriptors = [status_end, source, writer]
        began = time.monotonic_ns()
        socket.send_fds(server.socket, [b"\0"], descriptors)
        os.close(status_end)
        text = b""
        while b'"end"' not in text:
            text += os.read(status, 4096)
        times.append(time.monotonic_ns() - began)
        for fd in (source, writer, reader, status):
            os.close(fd)
    times.sort()
    print(f"job latency, sendmsg to end: median {statistics.median(times) / 1000:.0f}, "
          f"90 % {times[1800] / 1000:.0f} microseconds of 2000 jobs")
    server.stop()
END
    sed 's/^/# /' figures >&3
}
