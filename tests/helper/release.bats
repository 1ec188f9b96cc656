#!/usr/bin/env bats
# A hop whose input nobody waits for any longer ends when it is told to. What
# lies there by then is moved; what comes later finds nobody.

# shellcheck disable=SC2154 # `run` sets stderr
load common

# --- what is refused ----------------------------------------------------------

@test "--release without a status descriptor is refused" {
    local form
    for form in -r --release; do
        run -64 --separate-stderr pump "$form" 0 1 </dev/null
        [[ $stderr == 'cuprum-pump: option --release needs --status-fd' ]]
    done
}

@test "a status descriptor that cannot be read is refused" {
    run -71 --separate-stderr pump -r -s 100 100>status </dev/null
    [[ $stderr == 'cuprum-pump: descriptor 100 (status): Bad file descriptor' ]]
    [[ $(<status) == '{"event":"end","errno":9,"error":"EBADF"}' ]]
}

@test "and so it is in a job, and the next one is served" {
    python_script <<'END'
from jobs import *

with Server() as server:
    server.refuses("EBADF", "(status)", "-r")
    server.works()
    server.stop()
END
}

# --- what ends ----------------------------------------------------------------

@test "a hop that starves ends as at the end of file" {
    python_script <<'END'
from releases import *

for talk in talks():
    talk.passes(b"in time")
    os.write(talk.status, b"0\n")
    expect(os.read(talk.ends[0], 1) == b"", "no end of file")
    talk.finish()
    try:
        os.write(talk.feeds[0], b"too late")
        expect(False, "somebody still reads the input")
    except BrokenPipeError:
        pass
    hop = talk.hops[0]
    expect((hop.released, hop.read, hop.written) == (True, 7, 7), hop)
    expect((hop.errno, hop.broken_pipe, talk.end.errno) == (0, False, 0), hop)
END
}

@test "what lies in the pipe then is moved, and nothing that comes later" {
    python_script <<'END'
from jobs import take
from releases import *

for talk in talks("-z", "keep", make=wide_pipe):
    data = fill(talk.feeds[0])
    eventually(lambda: unread(talk.ends[0]) == 1 << 16, "a hop that is blocked")
    left = unread(talk.feeds[0])
    talk.ask("0\n")
    got = os.read(talk.ends[0], 1 << 16)
    eventually(lambda: unread(talk.feeds[0]) < left, "a hop that goes on")
    os.write(talk.feeds[0], b"too late")
    got += take(talk.ends[0])
    expect(got == data, f"{len(got)} bytes, of {len(data)}")
    hop = talk.finish().hops[0]
    expect((hop.read, hop.written, hop.released) == (len(data), len(data), True), hop)
END
}

@test "a writer without end does not keep it" {
    python_script <<'END'
import subprocess

from releases import *
from jobs import take

for talk in talks():
    writer = subprocess.Popen(["yes"], stdout=talk.feeds[0])
    os.close(talk.feeds[0])
    moved = 0
    while moved < 2_000_000:
        moved += len(os.read(talk.ends[0], 1 << 16))
    os.write(talk.status, b"0\n")
    moved += len(take(talk.ends[0]))
    talk.finish()
    expect(writer.wait() == -13, "no SIGPIPE")
    hop = talk.hops[0]
    expect(hop.released and hop.written == moved, hop)
END
}

@test "while it is blocked, it keeps what it holds for its reader" {
    python_script <<'END'
from jobs import take
from releases import *

for talk in talks("-b", "1M", make=sockets, engines=["copy"]):
    data = harness.sample(150_000)
    os.write(talk.feeds[0], data)
    eventually(lambda: unread(talk.ends[0]) > 60_000, "a hop that is blocked")
    talk.ask("0\n")
    expect(take(talk.ends[0]) == data, "not what was sent")
    expect(talk.finish().hops[0].released, talk.text)
END
}

@test "while it drains, it discards what lies there, and ends" {
    python_script <<'END'
from releases import *

for talk in talks("-d", "forever"):
    os.close(talk.ends[0])
    os.write(talk.feeds[0], b"for nobody")
    eventually(lambda: unread(talk.feeds[0]) == 0, "a hop that drains")
    os.write(talk.status, b"0\n")
    talk.finish()
    hop = talk.hops[0]
    expect(hop.released and hop.broken_pipe and hop.drain == "eof", hop)
    expect(hop.read == hop.discarded == 10, hop)
END
}

@test "a tap has what the output has" {
    python_script <<'END'
from jobs import take
from releases import *

for talk in talks(tapped=True, engines=["copy"]):
    talk.passes(b"one")
    os.write(talk.feeds[0], b"two")
    os.write(talk.status, b"0\n")
    expect(take(talk.ends[0]) == b"two", "not what was sent")
    expect(take(talk.copies[0]) == b"onetwo", "not the same")
    expect(talk.finish().hops[0].released, talk.text)
END
}

@test "of several hops, one" {
    python_script <<'END'
from jobs import at_end
from releases import *

for talk in talks(count=3):
    talk.ask("1\n")
    talk.wait_for("hop")
    expect(at_end(talk.ends[1]), "no end of file")
    for hop in (0, 2):
        talk.passes(b"goes on", hop)
        os.close(talk.feeds[hop])
    talk.finish()
    expect([h.released for h in talk.hops] == [False, True, False], talk.text)
    expect([h.written for h in talk.hops] == [7, 0, 7], talk.text)
END
}

@test "all at once" {
    python_script <<'END'
from releases import *

for talk in talks(count=100):
    os.write(talk.status, b"".join(b"%d\n" % hop for hop in range(100)))
    talk.finish()
    expect(all(h.released and not h.errno for h in talk.hops), talk.text)
END
}

# --- what does not ------------------------------------------------------------

@test "a hop that was not told to says so" {
    printf data | pump -s 100 100>status
    records status 'hop[0].released is False'
}

@test "where nobody can write any more, the end comes by itself" {
    python_script <<'END'
from jobs import take
from releases import *

for talk in talks():
    data = fill(talk.feeds[0])
    os.close(talk.feeds[0])
    talk.ask("0\n")
    expect(take(talk.ends[0]) == data, "not what was sent")
    expect(not talk.finish().hops[0].released, talk.text)
END
}

@test "what is not the number of a hop means nothing" {
    python_script <<'END'
from releases import *

for talk in talks():
    for line in ("", "1", "-1", "+0", " 0", "0 ", "0x0", "0.0", "x", "0\0",
                 "0" * 15 + "1", "0" * 16, "0" * 5000, "4294967296", "1\0",
                 "18446744073709551616"):
        talk.ask(f"{line}\n")
        talk.passes(b"goes on")
    talk.ask("0")
    talk.passes(b"half a line")
    talk.ask("\n0\n")
    talk.finish()
    expect(talk.hops[0].released, talk.text)
END
}

@test "a hop that has ended is none any more" {
    python_script <<'END'
from releases import *

for talk in talks(count=2):
    talk.ask("0\n0\n")
    talk.wait_for("hop")
    talk.ask("0\n")
    talk.passes(b"goes on", 1)
    os.close(talk.feeds[1])
    talk.finish()
    expect([h.released for h in talk.hops] == [True, False], talk.text)
END
}

@test "when nothing more will be said, everything goes on" {
    python_script <<'END'
from releases import *

for talk in talks():
    with socket.socket(fileno=os.dup(talk.status)) as ours:
        ours.shutdown(socket.SHUT_WR)
    for _ in range(10):
        talk.passes(b"goes on")
    with open(f"/proc/{talk.pid}/stat") as stat:
        state = stat.read().rpartition(")")[2].split()[0]
    expect(state in "SR", state)
    os.close(talk.feeds[0])
    expect(not talk.finish().hops[0].released, talk.text)
END
}

@test "the socket is the lifeline as well" {
    python_script <<'END'
from releases import *

talk = Talk("-p", "0.001")
with reaped(talk.pid) as ended:
    talk.read()
    os.close(talk.status)  # with something unread in both directions
    expect(wait(ended) == 75, "still there")
END
}
