#!/usr/bin/env bats
# Inputs of which a plain read would lose something, or find no end.

# shellcheck disable=SC2094 # one file on both sides is the point
# shellcheck disable=SC2154 # run sets stderr

load common

@test "a socket of messages is refused as an input" {
    local status=0
    with_pairs --seqpacket 100:101 <<'END' 2>err || status=$?
        printf message >&101
        "$PUMP" -s 102 100 1 102>status >out
END
    ((status == 71))
    [[ $(<err) == 'cuprum-pump: descriptor 100 (read): '* ]]
    [[ ! -s out ]]
    grep -q EPROTOTYPE status
}

@test "a socket of messages can be an output" {
    with_pairs --seqpacket 100:101 <<'END'
        printf message | "$PUMP" 0 100
        exec 100>&-
        "$PYTHON" -I "$LIB/fd.py" packets 101 >out
END
    [[ $(<out) == "'message'" ]]
}

@test "packets of a pipe in packet mode arrive whole, whatever the buffer" {
    local engine
    for engine in $(engines); do
        fd_tool packet-pipe 100 -- \
            "$PUMP" -e "$engine" -b 100 -s 101 100 1 101>status >out
        (($(stat -c %s out) == 5000))
        records status 'hop[0].read == 5000'
    done
}

@test "a file that would feed itself is refused" {
    echo data >file
    run -71 --separate-stderr pump 0 101 <file 101>>file
    [[ $stderr == *'descriptors 0 and 101: input file is output file'* ]]
    [[ $(<file) == data ]]
}

@test "a file may be copied onto itself where that has an end" {
    printf 'one two ' >file
    pump <file 1<>file
    [[ $(<file) == 'one two ' ]]
    { fd_tool seek 0 4; pump 0 100; } <file 100<>file
    [[ $(<file) == 'two two ' ]]
}

@test "a FIFO opened before there was a writer is at its end, as read(2) says" {
    python_script <<'END'
import os

from harness import FIRST, engines, expect, reaped, spawn, wait

os.mkfifo("fifo")
for engine in engines():
    for data in (b"", b"data"):
        source = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)
        if data:  # or nobody ever writes
            writer = os.open("fifo", os.O_WRONLY)
        reader, sink = os.pipe()
        command = ["-e", engine, str(FIRST), str(FIRST + 1)]
        pid = spawn(command, {2: 2, FIRST: source, FIRST + 1: sink})
        os.close(source)
        os.close(sink)
        with reaped(pid) as ended:
            if data:
                expect(wait(ended, 0.2) is None, f"{engine}: it has not waited")
                os.write(writer, data)
                os.close(writer)
            expect(wait(ended) == 0, f"{engine}: status {wait(ended, 0)}")
        expect(os.read(reader, 10) == data, engine)
        os.close(reader)
END
}
