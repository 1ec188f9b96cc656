#!/usr/bin/env bats
# Jobs that are refused: with a reason, and without a trace in the process.

load common

@test "an option that nobody knows is refused" {
    python_script <<'END'
from jobs import *

with Server() as server:
    server.refuses("EINVAL", "-Q", "-Q")
    server.refuses("EINVAL", "--unknown", "--unknown")
    server.refuses("EINVAL", "--unknown=1", "-b1", "--unknown=1")
    server.works()
    server.stop()
END
}

@test "an option that has no place in a job is refused" {
    python_script <<'END'
from jobs import *

with Server() as server:
    for options, name in (
        (["-s", "1"], "--status-fd"),
        (["--status-fd=1"], "--status-fd"),
        (["-i"], "--ignore-interrupts"),
        (["--ignore-interrupts"], "--ignore-interrupts"),
        (["-c", "3"], "--control-fd"),
        (["--control-fd=3"], "--control-fd"),
        (["-t", "1"], "--idle-timeout"),
        (["--idle-timeout=1"], "--idle-timeout"),
        (["--no-sandbox"], "--no-sandbox"),
        (["-h"], "--help"),
        (["--help"], "--help"),
        (["-V"], "--version"),
        (["--version"], "--version"),
    ):
        server.refuses("EINVAL", name, *options)
        server.refuses("EINVAL", name, "-b1", *options)
    server.works()
    server.stop()
END
}

@test "a value that is none is refused, and so is one too few or too many" {
    python_script <<'END'
from jobs import *

with Server() as server:
    for options, name in (
        (["-b", "0"], "--buffer-size"),
        (["-b", "x"], "--buffer-size"),
        (["-b", ""], "--buffer-size"),
        (["--buffer-size=2G"], "--buffer-size"),
        (["-z", "-1"], "--pipe-size"),
        (["-e", "teleport"], "--engine"),
        (["-d", "never"], "--drain"),
        (["-p", "0"], "--progress"),
        (["-b"], "--buffer-size"),
        (["--engine"], "--engine"),
    ):
        server.refuses("EINVAL", name, *options)
    server.works()
    server.stop()
END
}

@test "an operand in a job is refused" {
    python_script <<'END'
from jobs import *

with Server() as server:
    server.refuses("EINVAL", "'0'", "0", "1")
    server.refuses("EINVAL", "'0'", "-b1", "--", "0")
    server.refuses("EINVAL", "''", data=b"\0\0")
    server.refuses("EINVAL", "''", data=b"-ecopy\0\0")
    server.works()
    server.stop()
END
}

@test "64 words of options are too many" {
    python_script <<'END'
from jobs import *

with Server() as server:
    server.refuses("EINVAL", "63", *["-ecopy"] * 64)
    server.refuses("EINVAL", "63", data=b"\0" * 4096)
    server.works()
    server.stop()
END
}

@test "a payload whose last word has no NUL is refused" {
    python_script <<'END'
from jobs import *

with Server() as server:
    server.refuses("EPROTO", "refused", data=b"-ecopy")
    server.refuses("EPROTO", "refused", data=b"-b\0" b"1")
    server.refuses("EPROTO", "refused", data=b"-" * 4096)
    server.works()
    server.stop()
END
}

@test "a payload of more than 4096 bytes is refused" {
    python_script <<'END'
from jobs import *

with Server() as server:
    server.refuses("EMSGSIZE", "too long", data=b"-d0." + b"0" * 4092 + b"\0")
    server.refuses("EMSGSIZE", "too long", data=b"\0" * 100000)
    server.works()
    server.stop()
END
}

@test "a job without descriptors is refused" {
    python_script <<'END'
from jobs import *

with Server() as server:
    for data in (b"", b"\0", b"-ecopy\0", b"x", b"x" * 5000):
        server.send(data, [])
        server.says("job refused")
        server.works()
    server.stop()
END
}

@test "a status descriptor alone, or an input without an output, is refused" {
    python_script <<'END'
from jobs import *

with Server() as server:
    for count in (0, 1, 3, 251):
        server.refuses("EPROTO", "refused", hops=[null() for _ in range(count)])
    server.works()
    server.stop()
END
}

@test "a descriptor for the wrong direction is refused" {
    python_script <<'END'
from jobs import *

with Server() as server:
    for engine in ("copy", "splice", "auto"):
        reader, writer = pipe()
        server.refuses("EBADF", "(read)", "-e", engine, hops=[writer, null()])
        os.close(reader)
        reader, writer = pipe()
        server.refuses("EBADF", "(write)", "-e", engine, hops=[null(), reader])
        os.close(writer)
        path = os.open("/dev/null", os.O_PATH)
        server.refuses("EBADF", "(read)", hops=[null(), null(), path, null()])
    server.works()
    server.stop()
END
}

@test "a directory is refused" {
    python_script <<'END'
from jobs import *

with Server() as server:
    server.refuses("EISDIR", "(read)", hops=[os.open(".", os.O_RDONLY), null()])
    server.works()
    server.stop()
END
}

@test "one bad hop among good ones refuses them all before a byte moves" {
    python_script <<'END'
from jobs import *

with Server() as server:
    source = filled(b"unread")
    reader, writer = pipe()
    server.refuses("EISDIR", "(read)",
        hops=[os.dup(source), writer, os.open(".", os.O_RDONLY), null()])
    expect(take(reader) == b"", "bytes have moved")
    expect(take(source) == b"unread", "bytes are gone")
    server.stop()
END
}

@test "a status descriptor that cannot be written is refused" {
    python_script <<'END'
from jobs import *

with Server() as server:
    idle = server.descriptors_when_idle()
    for make in (lambda: filled(b""), lambda: os.open("/dev/null", os.O_RDONLY)):
        source = filled(b"unread")
        reader, writer = pipe()
        server.send(b"\0", [make(), os.dup(source), writer])
        server.says("(status)")
        expect(take(reader) == b"", "bytes have moved")
        expect(take(source) == b"unread", "bytes are gone")
        eventually(lambda: server.descriptors() == idle, "descriptors closed")
        server.works()
    server.stop()
END
}

@test "a job whose descriptors the process has no room for is refused" {
    python_script <<'END'
import resource

from jobs import *

with Server() as server:
    idle = server.descriptors_when_idle()
    # Room for the status descriptor, for one or two more, for none at all.
    for room, record in ((1, True), (2, True), (3, True), (0, False)):
        limits = (idle + room, 4096)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, limits)
        reader, writer = pipe()
        job = server.begin(hops=[null(), null(), filled(b"unread"), writer])
        server.says("job refused", "too long")
        job.finish()
        expect(take(reader) == b"", "bytes have moved")
        if record:
            expect(job.end.error == "EMSGSIZE", job.text)
        else:
            expect(job.text == b"", job.text)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (1024, 4096))
        expect(server.descriptors() == idle, "descriptors are left")
        server.works()
    server.stop()
END
}

@test "a job without payload that lost its descriptors is not the end" {
    python_script <<'END'
import resource

from jobs import *

with Server() as server:
    idle = server.descriptors_when_idle()
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (idle, 4096))
    job = server.begin(hops=[null(), null()], data=b"")
    job.finish()
    expect(wait(server.ended, 0.2) is None, "it took the job for end of file")
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (1024, 4096))
    server.works()
    server.stop()
END
}

@test "the record of a refused job waits for room in the status pipe" {
    python_script <<'END'
from jobs import *

with Server() as server:
    for options, hops in ((["-bx"], [null(), null()]),
                          ([], [os.open(".", os.O_RDONLY), null()])):
        reader, writer = pipe()
        size = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
        os.write(writer, b" " * (size - 1) + b"\n")
        server.send(payload(*options), [writer, *hops])
        time.sleep(0.2)
        text = take(reader).lstrip()
        expect(text.startswith(b'{"event":"end"'), f"the record is lost: {text!r}")
        server.works()
    server.stop()
END
}

@test "a signal does not wait for room for the record of a refused job" {
    python_script <<'END'
import signal

from jobs import *

for options, hops in ((["-bx"], [null(), null()]),
                      ([], [os.open(".", os.O_RDONLY), null()])):
    with Server() as server:
        server.works()
        reader, writer = pipe()
        size = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
        os.write(writer, b" " * size)
        server.send(payload(*options), [writer, *hops])
        server.says()  # and the next thing that it does is wait
        os.kill(server.pid, signal.SIGTERM)
        server.exits(-signal.SIGTERM)
        expect(take(reader) == b" " * size, "more in the pipe than fits")
END
}

@test "what is refused again and again leaves nothing behind" {
    python_script <<'END'
from jobs import *

with Server() as server:
    idle = server.descriptors_when_idle()
    for number in range(500):
        kind = number % 4
        hops = [null() for _ in range(40 + kind % 2)]
        data = (b"\0", b"-bx\0", b"no end", b"\0" * 5000)[kind]
        job = server.run(hops=hops, data=data)
        expect(kind == 0 or job.is_refusal, job.text)
        take_errors = os.read(server.stderr, 65536) if kind else b""
        expect(take_errors.count(b"\n") <= 1, take_errors)
    eventually(lambda: server.descriptors() == idle, "descriptors closed")
    server.works()
    server.stop()
END
}
