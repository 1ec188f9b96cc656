#!/usr/bin/env bats
# A tap gets a copy of what crosses a hop, and never harms the stream: what
# becomes of it is in a record of its own, and in the exit status.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, on purpose
# shellcheck disable=SC2154 # `run` sets stderr and stderr_lines
load common

setup_file() {
    "$PYTHON" -I "$LIB/fd.py" sample 3000000 >"$BATS_FILE_TMPDIR/data" 3>&-
}

data() {
    cat "$BATS_FILE_TMPDIR/data" 3>&-
}

is_data() {
    cmp "$BATS_FILE_TMPDIR/data" "$1"
}

# --- what is refused ----------------------------------------------------------

# refused STATUS MESSAGE ARGUMENT...: one line, and not a byte moved. Open are
# 0, 1, and 101 to 103 for both directions.
refused() {
    local expected=$1 message=$2 got=0 fd
    shift 2
    echo untouched >in
    : >two
    exec {fd}<in
    pump "$@" <&"$fd" >out 2>err 101<>one 102<>two 103<>three || got=$?
    if ! [[ $got == "$expected" && $(wc -l <err) == 1 &&
        $(<err) == cuprum-pump:\ *"$message"* && ! -s out && ! -s two &&
        $(cat <&"$fd") == untouched ]]; then
        echo "not refused as it should be: cuprum-pump ${*@Q}" >&2
        echo "exit status $got, expected $expected and $message in:" >&2
        cat err >&2
        return 1
    fi
    exec {fd}<&-
}

@test "a hop that is no number, or not there, is refused" {
    local word
    for word in '' x -1 1x 0x0 0.0 4294967296 18446744073709551616; do
        refused 64 "'$word' for --tap" --tap="$word" 0 1 102
    done
    refused 64 'needs an argument' -T
    refused 64 'no hop 1' -T 1 0 1 102
    refused 64 'no hop 1' -T 1 102
    refused 64 'no hop 2147483647' -T 0 -T 2147483647 0 1 102 103
}

@test "a second tap of the same hop is refused" {
    refused 64 'hop 0' -T 0 -T 0 0 1 102 103
}

@test "a tap without its operand is refused, and so is an operand without a tap" {
    refused 64 --tap -T 0
    refused 64 "'0' has no partner" -T 0 0 1
    refused 64 "'0' has no partner" -T 0 -T 1 0 102 103
    refused 64 "'102' has no partner" 0 1 102
    refused 64 "'102' has no partner" -T 0 0 1 102 103
    refused 64 "'x'" -T 0 0 1 x
    refused 64 "'x'" -T 0 x
}

@test "a tap that has another part as well is refused" {
    refused 64 1 -T 0 0 1 1
    refused 64 0 -T 0 0 1 0
    refused 64 1 -T 0 1
    refused 64 102 -s 102 -T 0 0 1 102
    refused 64 102 -T 0 0 1 101 102 102
    refused 64 101 -T 0 0 1 101 102 101
    refused 64 102 -T 0 -T 1 0 1 101 103 102 102
}

@test "--tap does not go with the splice engine, nor with a control socket" {
    refused 64 splice -e splice -T 0 0 1 102
    refused 64 splice -T 0 -e splice 0 1 102
    refused 64 control-fd -T 0 -c 102
}

@test "a tap that is not open for writing is refused before a byte moves" {
    refused 71 'descriptor 109 (tap): Bad file descriptor' -T 0 0 1 109
    refused 71 'descriptor 104 (tap): Bad file descriptor' -T 0 0 1 104 104<in
    refused 71 'descriptor 104 (tap): ' -T 0 0 1 104 104<.
    [[ ! -e status ]]
    refused 71 'descriptor 109 (tap): ' -s 104 -T 0 0 1 109 104>status
    [[ $(<status) == '{"event":"end","errno":9,"error":"EBADF"}' ]]
}

@test "a tap that is the hop's input file is refused: it would have no end" {
    echo data >loop
    refused 71 'input file is output file' -T 0 104 1 105 104<loop 105>>loop
    [[ $(<loop) == data ]]
}

# --- what is copied -----------------------------------------------------------

@test "the tap gets what the output gets" {
    local form
    for form in '-T 0' -T0 --tap=0 '--tap 0'; do
        # shellcheck disable=SC2086 # some forms are two words
        data | pump $form -s 100 0 1 101 100>status 101>copy | cat >out
        is_data out
        is_data copy
        records status 'tap[0].written == 3000000' 'tap[0].errno == 0' \
            'hop[0].written == 3000000' 'hop[0].engine == "copy"' \
            'end.errno == 0'
    done
}

@test "without pairs, standard input to standard output is tapped" {
    data | pump --tap=0 101 101>copy >out
    is_data out
    is_data copy
}

@test "with a buffer of any size, the copy is whole" {
    local size
    for size in 7 4095 1M; do
        sample 200000 | pump -b "$size" -T 0 101 101>copy | cat >out
        cmp copy out
        (($(stat -c %s copy) == 200000))
    done
}

@test "an empty stream has an empty copy" {
    pump -s 100 -T 0 0 1 101 </dev/null >out 100>status 101>copy
    [[ -e copy && ! -s copy ]]
    records status 'tap[0].written == 0' 'tap[0].errno == 0'
}

@test "a tap is told of right before its hop, and only if there is one" {
    echo data | pump -s 100 -T 0 0 1 101 >out 100>status 101>copy
    [[ $(grep -o '^{"event":"[a-z]*"' status | cut -d '"' -f 4 | paste -sd ' ') == \
        'start tap hop end' ]]
    [[ $(sed -n 2p status) == \
        '{"event":"tap","hop":0,"written":5,"errno":0,"error":null}' ]]
    echo data | pump -s 100 >out 100>status
    ! grep -q '"tap"' status
}

@test "of several hops those are tapped that were named, in any order" {
    local number
    for number in 0 1 2; do
        sample "$((number * 1000 + 500000))" >"in.$number"
    done
    pump -s 100 -T 2 -T 0 101 102 103 104 105 106 107 108 100>status \
        101<in.0 102>out.0 103<in.1 104>out.1 105<in.2 106>out.2 \
        107>copy.2 108>copy.0
    for number in 0 1 2; do
        cmp "in.$number" "out.$number"
    done
    cmp in.0 copy.0
    cmp in.2 copy.2
    records status 'sorted(tap) == [0, 2]' 'tap[0].written == 500000' \
        'tap[2].written == 502000' 'end.errno == 0'
}

@test "a socket is tapped into, and blocks nobody" {
    with_pairs 100:101 <<'END'
        { sleep 0.1; exec cat <&101; } >copy 100>&- &
        exec 101>&-
        "$PYTHON" -I "$LIB/fd.py" sample 3000000 | "$PUMP" -T 0 0 1 100 | cat >out
        exec 100>&-
        wait $!
END
    is_data out
    is_data copy
}

@test "a terminal is tapped into, and blocks nobody" {
    need_terminal
    local got
    sample 20000 >in
    got=$(fd_tool pty 100 -- "$PUMP" --tap=0 0 101 100 <in 101>out | sha256sum)
    cmp in out
    [[ $got == "$(sha256sum <in)" ]]
}

@test "messages keep out of a tap that is standard error" {
    local got=0
    echo data | pump -T 0 2 2>copy >/dev/full || got=$?
    ((got == 74))
    [[ $(<copy) == data ]]
}

@test "O_NONBLOCK is set on a tap while it runs alone" {
    make_pipe in
    make_pipe tap
    start_pump -T 0 101 <&"${R[in]}" >out 101>&"${W[tap]}"
    ! is_nonblocking "${W[tap]}"
    echo data >&"${W[in]}"
    eventually is_nonblocking "${W[tap]}"
    close_writer in
    expect_exit 0
    ! is_nonblocking "${W[tap]}"
}

# --- a slow one -----------------------------------------------------------------

# Three megabytes for a pump whose tap, a pipe, nobody reads yet; when this
# returns it is blocked. Its process id is in pumping.
start_blocked() {
    make_pipe in
    make_pipe tap
    start_pump -T 0 -s 100 -p 0.02 "$@" 0 1 101 100>status \
        101>&"${W[tap]}" <&"${R[in]}"
    pumping=$PID
    spawn cat "$BATS_FILE_TMPDIR/data" >&"${W[in]}"
    producer=$PID
    close_reader in
    close_writer in
    close_writer tap
    eventually records_so_far status 'progress[-1].waiting == "output"' \
        'progress[-1].read == progress[-2].read > 0'
}

@test "a slow tap slows the stream down, and nothing is lost" {
    local pumping producer queued
    start_blocked >out
    queued=$(queued "${R[tap]}")
    is_running "$producer"
    # It never has less than the reader.
    (($(stat -c %s out) <= queued))
    cat <&"${R[tap]}" >copy
    expect_exit 0 "$pumping"
    expect_exit 0 "$producer"
    is_data out
    is_data copy
    records status 'tap[0].errno == 0' 'tap[0].written == 3000000' \
        'hop[0].wait_output_ns > 10_000_000' \
        'hop[0].wait_output_ns > hop[0].wait_input_ns'
}

@test "waiting for a tap costs no time" {
    local pumping producer before
    start_blocked >out
    before=$(awk '{ print $14 + $15 }' "/proc/$pumping/stat")
    sleep 0.5
    (($(awk '{ print $14 + $15 }' "/proc/$pumping/stat") - before < 10))
    cat <&"${R[tap]}" >copy
    expect_exit 0 "$pumping"
    expect_exit 0 "$producer"
}

@test "other hops do not wait for a tap" {
    local pumping
    make_pipe in
    make_pipe tap
    fd_tool fill "${W[tap]}"
    sample 1000000 >other
    start_pump -T 0 -s 100 0 1 102 103 101 <&"${R[in]}" >out 100>status \
        101>&"${W[tap]}" 102<other 103>two
    pumping=$PID
    echo data >&"${W[in]}"
    close_writer in
    eventually records_so_far status 'hop[0].hop == 1'
    cmp other two
    [[ ! -s out ]]
    close_writer tap
    tr -d ' ' <&"${R[tap]}" >copy
    expect_exit 0 "$pumping"
    [[ $(<out) == data && $(<copy) == data ]]
}

@test "a signal while it waits for the tap: every record comes" {
    local pumping producer
    start_blocked >out
    kill -TERM "$pumping"
    expect_exit 143 "$pumping"
    expect_exit 141 "$producer"
    cat <&"${R[tap]}" >copy
    cmp -n "$(stat -c %s copy)" "$BATS_FILE_TMPDIR/data" copy
    records status 'end.error == "EINTR"' 'hop[0].error == "EINTR"' \
        "tap[0].written == $(stat -c %s copy)" \
        "hop[0].written == $(stat -c %s out)" \
        'tap[0].written >= hop[0].written'
}

# --- one that fails -------------------------------------------------------------

@test "/dev/full: the stream is whole, the failure is told at once, and at the end" {
    make_pipe in
    start_pump -T 0 -s 100 0 1 101 <&"${R[in]}" >out 2>err 100>status \
        101>/dev/full
    echo first >&"${W[in]}"
    eventually records_so_far status 'tap[0].error == "ENOSPC"' 'not hop'
    is_running "$PID"
    data >&"${W[in]}"
    close_writer in
    expect_exit 74
    is_data <(tail -n +2 out)
    [[ $(head -n 1 out) == first ]]
    [[ $(<err) == \
        'cuprum-pump: hop 0: descriptor 101 (tap): No space left on device' ]]
    records status 'tap[0].written == 0' 'hop[0].errno == 0' \
        'hop[0].written == 3000006' 'end.error == "ENOSPC"'
}

@test "a file that becomes too large: what it took is counted" {
    local got=0
    (
        ulimit -f 16
        data | pump -T 0 -s 2 101 2>status 101>copy
    ) | cat >out || got=$?
    ((got == 74))
    is_data out
    cmp copy <(head -c 16384 "$BATS_FILE_TMPDIR/data")
    records status 'tap[0].error == "EFBIG"' 'tap[0].written == 16384' \
        'hop[0].errno == 0' 'end.error == "EFBIG"'
}

@test "a tap whose reader has gone before the start" {
    local got=0
    make_pipe tap
    close_reader tap
    data | pump -T 0 -s 100 101 2>err 100>status 101>&"${W[tap]}" >out || got=$?
    ((got == 74))
    is_data out
    [[ $(<err) == 'cuprum-pump: hop 0: descriptor 101 (tap): Broken pipe' ]]
    records status 'tap[0].error == "EPIPE"' 'tap[0].written == 0' \
        'hop[0].errno == 0' 'not hop[0].broken_pipe' 'end.error == "EPIPE"'
}

@test "a tap whose reader goes half-way" {
    local got=0
    data | pump -T 0 -s 100 101 2>err 100>status >out \
        101> >(exec head -c 100000 >copy) || got=$?
    ((got == 74))
    is_data out
    cmp copy <(head -c 100000 "$BATS_FILE_TMPDIR/data")
    records status 'tap[0].error == "EPIPE"' '100000 <= tap[0].written < 3000000' \
        'hop[0].errno == 0' 'end.error == "EPIPE"'
}

@test "a tap whose reader goes while it is full no longer holds anything up" {
    local pumping producer begin
    start_blocked >out 2>err
    begin=$(now_ms)
    close_reader tap
    expect_exit 74 "$pumping"
    within 0 $(($(now_ms) - begin)) 1000
    expect_exit 0 "$producer"
    is_data out
    records status 'tap[0].error == "EPIPE"' 'hop[0].errno == 0'
}

@test "of a tap and a hop that fail, end has the hop's error" {
    local got=0
    make_pipe tap
    close_reader tap
    data | pump -T 0 -s 100 0 1 102 103 101 2>err 100>status 101>&"${W[tap]}" \
        >out 102</dev/null 103>/dev/null || got=$?
    ((got == 74))
    got=0
    echo data | pump -T 0 -s 100 101 2>err 100>status 101>&"${W[tap]}" \
        >/dev/full || got=$?
    ((got == 74))
    (($(wc -l <err) == 2))
    records status 'tap[0].error == "EPIPE"' 'hop[0].error == "ENOSPC"' \
        'end.error == "ENOSPC"'
}

# --- when the reader of the output goes -----------------------------------------

@test "what is discarded is not tapped, and the tap ends with the flow" {
    make_pipe in
    make_pipe out
    start_pump -T 0 -s 100 -d forever 101 <&"${R[in]}" >&"${W[out]}" \
        100>status 101> >(close_shell_descriptors; exec cat >copy)
    close_reader in
    close_writer out
    echo data >&"${W[in]}"
    eventually queued_is "${R[out]}" 5
    close_reader out
    eventually records_so_far status 'tap[0].written == 5'
    eventually test -s copy
    data >&"${W[in]}"
    close_writer in
    expect_exit 0
    [[ $(<copy) == data ]]
    records status 'hop[0].broken_pipe' 'hop[0].drain == "eof"' \
        'hop[0].discarded == 3000000' 'tap[0].errno == 0' 'end.errno == 0'
}

@test "a reader that goes while the tap is full is noticed" {
    local pumping producer begin
    make_pipe out
    start_blocked -d 0 >&"${W[out]}"
    close_writer out
    begin=$(now_ms)
    close_reader out
    expect_exit 0 "$pumping"
    within 0 $(($(now_ms) - begin)) 1000
    expect_exit 141 "$producer"
    records status 'hop[0].broken_pipe' 'hop[0].drain == "closed"' \
        'tap[0].errno == 0' 'end.errno == 0'
}

# --- in a job -------------------------------------------------------------------

@test "a job brings its taps behind the pairs" {
    python_script <<'END'
from harness import sample
from jobs import *

with Server() as server:
    idle = server.descriptors_when_idle()
    sources = [sample(60000, n) for n in range(3)]
    hops, readers = [], []
    for source in sources:
        reader, writer = pipe()
        hops += [filled(source), writer]
        readers.append(reader)
    for _ in range(2):
        reader, writer = pipe()
        hops.append(writer)
        readers.append(reader)
    job = server.begin("--tap=2", "-T0", hops=hops).wait_for("end")
    expect(server.descriptors() <= idle + 1, "a tap is open when end is there")
    job.finish()
    got = [take(reader) for reader in readers]
    expect(got == [*sources, sources[2], sources[0]], job.text)
    taps = {r.hop: r.written for r in job.records if r.event == "tap"}
    expect(taps == {0: 60000, 2: 60000}, job.text)
    server.works()
    server.stop()
END
}

@test "60 hops of a job are tapped" {
    python_script <<'END'
from jobs import *

with Server() as server:
    hops, taps = [], []
    for number in range(60):
        hops += [filled(b"%d" % number), null()]
    for number in range(60):
        reader, writer = pipe()
        hops.append(writer)
        taps.append(reader)
    job = server.run(*(f"-T{number}" for number in range(60)), hops=hops)
    expect(job.end.errno == 0, job.text)
    expect([take(tap) for tap in taps] == [b"%d" % n for n in range(60)], job.text)
    server.stop()
END
}

@test "a job whose tap fails says so, and the next one is served" {
    python_script <<'END'
from jobs import *

with Server() as server:
    reader, writer = pipe()
    full = os.open("/dev/full", os.O_WRONLY)
    job = server.run("-T0", hops=[filled(b"data"), writer, full])
    expect(take(reader) == b"data", job.text)
    expect(job.hops[0].errno == 0, job.text)
    expect(job.end.error == "ENOSPC", job.text)
    server.says("(tap)", "hop 0")
    server.works()
    server.stop()
END
}

@test "a job with a descriptor too few or too many for its taps is refused" {
    python_script <<'END'
from jobs import *

with Server() as server:
    for options, counts in (
        (["-T0"], (2, 4, 252)),
        (["-T0", "-T1"], (3, 5)),
        (["-T0", "-T1", "-T2"], (2, 3, 4, 6)),
        ([], (3, 5)),
        (["-T0"], (1,)),
    ):
        for count in counts:
            server.refuses("EPROTO", "refused", *options,
                hops=[null() for _ in range(count)])
    # Nothing but taps.
    server.refuses("EPROTO", "refused", "-T0", "-T1", hops=[null(), null()])
    server.works()
    server.stop()
END
}

@test "a job with a tap that cannot be is refused" {
    python_script <<'END'
from jobs import *

def hops(count):
    return [null() for _ in range(count)]

with Server() as server:
    server.refuses("EINVAL", "no hop 1", "-T1", hops=hops(3))
    server.refuses("EINVAL", "hop 0", "-T0", "-T0", hops=hops(4))
    server.refuses("EINVAL", "--tap", "-Tx", hops=hops(3))
    server.refuses("EINVAL", "splice", "-T0", "-esplice", hops=hops(3))
    reader, writer = pipe()
    server.refuses("EBADF", "(tap)", "-T0", hops=[null(), null(), reader])
    os.close(writer)
    server.works()
    server.stop()
with Server("-e", "splice") as server:
    job = server.run("-T0", hops=hops(3))
    expect(job.is_refusal and job.end.error == "EINVAL", job.text)
    server.says("job refused", "splice")
    job = server.run("-T0", "-ecopy", hops=hops(3))
    expect(job.end.errno == 0, job.text)
    server.stop()
END
}
