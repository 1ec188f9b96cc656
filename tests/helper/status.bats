#!/usr/bin/env bats
# Status records: their order, form and transport; the status descriptor as
# lifeline. (Every suite checks form and sums of the records that it reads.)

# shellcheck disable=SC2030,SC2031 # each test is a subshell, on purpose
load common

@test "start is first, then one record per hop, then end" {
    printf 12345 >in
    start_pump -s 100 0 1 101 102 <in >out 100>status 101</dev/null 102>two
    local pumping=$PID
    expect_exit 0
    records status "start.pid == $pumping" 'start.hops == 2' \
        'start.protocol == 1' 'len(hop) == 2' 'hop[0].written == 5' \
        'hop[1].written == 0' 'end.errno == 0' 'not progress'
    (($(wc -l <status) == 4))
}

@test "start is there before any input" {
    make_pipe in
    start_pump -s 100 <&"${R[in]}" >out 100>status
    eventually records_so_far status "start.pid == $PID"
    close_writer in
    expect_exit 0
}

@test "records through a pipe end with end of file" {
    { echo data | pump -s 100 100>&1 >/dev/null; } | cat >status
    records status 'hop[0].written == 5'
}

@test "records go to standard error when it is named" {
    echo data | pump -s 2 2>status >out
    records status 'hop[0].written == 5'
}

@test "records through a socket" {
    with_pairs 100:101 <<'END'
        echo data | "$PUMP" -s 100 101>&- >out
        exec 100>&-
        cat <&101 >status
END
    records status 'hop[0].written == 5'
}

@test "each record is one write" {
    with_pairs --seqpacket 100:101 <<'END'
        "$PYTHON" -I "$LIB/fd.py" packets 101 100>&- >packets &
        exec 101>&-
        echo data | "$PUMP" -s 100 >out
        exec 100>&-
        wait $!
END
    (($(wc -l <packets) == 3))
    (($(grep -c "^'{.*}\\\\n'\$" packets) == 3))
}

@test "an appended status file gets its records at the end" {
    echo data | pump -s 100 100>>status >out
    records status
    echo data | pump -s 100 100>>status >out
    (($(wc -l <status) == 6))
}

@test "without --status-fd nobody is told anything" {
    run --separate-stderr pump </dev/null
    ((status == 0))
    [[ -z $output && -z $stderr ]]
}

# A status pipe of one page, full from the start record on.
start_with_full_status() {
    make_pipe in
    make_pipe status
    fd_tool pipe-size "${R[status]}" 4096
    start_pump -s 100 "$@" <&"${R[in]}" >out 100>&"${W[status]}"
    eventually holds_bytes "${R[status]}"
    fd_tool fill "${W[status]}"
    close_writer status
}

@test "with the status pipe full, hop and end still arrive" {
    start_with_full_status
    echo data >&"${W[in]}"
    close_writer in
    eventually test -s out
    cat <&"${R[status]}" >raw
    tr -s ' ' <raw | sed 's/^ //' >status
    expect_exit 0
    records status 'hop[0].written == 5' 'end.errno == 0'
}

@test "with the status pipe full, progress is dropped and bytes still flow" {
    local i
    start_with_full_status -p 0.02
    for i in {1..20}; do
        echo data >&"${W[in]}"
        sleep 0.02
    done
    [[ $(wc -c <out) == 100 ]]
    close_writer in
    cat <&"${R[status]}" >raw
    tr -s ' ' <raw | sed 's/^ //' >status
    expect_exit 0
    records status 'len(progress) < 8' 'hop[0].written == 100'
}

@test "with the status pipe full before the start, nothing is lost" {
    make_pipe status
    fd_tool fill "${W[status]}"
    echo data >in
    start_pump -s 100 <in >out 100>&"${W[status]}"
    close_writer status
    tr -s ' ' <&"${R[status]}" | sed 's/^ //' >status
    expect_exit 0
    records status 'hop[0].written == 5' 'end.errno == 0'
}

@test "with the status pipe full, a signal's records still arrive" {
    start_with_full_status
    kill -TERM "$PID"
    cat <&"${R[status]}" >raw
    tr -s ' ' <raw | sed 's/^ //' >status
    expect_exit 143
    records status 'hop[0].error == "EINTR"' 'end.error == "EINTR"'
}

# One signal asks for the records, another one gives them up.
signal_again() {
    kill -TERM "$1"
    is_gone "$1"
}

@test "with the status pipe full, a second signal does not wait for room" {
    start_with_full_status
    eventually signal_again "$PID"
    expect_exit 143
}

# --- the lifeline -----------------------------------------------------------

# lost COMMAND...: start the pump with the command, which uses 100 for its
# status; when the reader of that is gone, it exits with 75 at once.
lost() {
    local begin
    make_pipe status
    "$@" 100>&"${W[status]}"
    close_writer status
    eventually holds_bytes "${R[status]}"
    begin=$(now_ms)
    close_reader status
    expect_exit 75
    within 0 $(($(now_ms) - begin)) 500
}

write_to() {
    env --default-signal head -c 1 /dev/zero >&"$1"
}

@test "when the status reader goes, an idle pump exits with 75 and closes both ends" {
    local engine
    for engine in $(engines); do
        make_pipe in
        make_pipe out
        lost start_pump -e "$engine" -s 100 <&"${R[in]}" >&"${W[out]}"
        close_reader in
        close_writer out
        [[ -z $(timeout 5 cat <&"${R[out]}") ]]
        run -141 write_to "${W[in]}"
        close_writer in
        close_reader out
    done
}

@test "when the status reader goes, a busy pump exits with 75" {
    lost start_pump -s 100 < <(endless) >/dev/null
}

@test "when the status reader goes, a blocked pump exits with 75" {
    make_pipe in
    make_pipe out
    spawn cat /dev/zero >&"${W[in]}"
    local producer=$PID
    lost start_pump -s 100 <&"${R[in]}" >&"${W[out]}"
    close_reader in
    close_writer in
    expect_exit 141 "$producer"
}

@test "when the status reader goes, a draining pump exits with 75" {
    make_pipe in
    make_pipe out
    close_reader out
    lost start_pump -s 100 -d forever <&"${R[in]}" >&"${W[out]}"
}

@test "when the status reader goes, all hops end" {
    make_pipe a
    make_pipe b
    lost start_pump -s 100 0 1 101 102 <&"${R[a]}" >out 101<&"${R[b]}" 102>two
}

@test "when the status reader goes with records undelivered, it exits with 75" {
    start_with_full_status
    echo data >&"${W[in]}"
    close_writer in
    eventually test -s out
    eventually grep -q '^State:[[:space:]]*S' "/proc/$PID/status"
    close_reader status
    expect_exit 75
}

@test "when the status reader goes before there was room for start, it exits with 75" {
    make_pipe status
    make_pipe out
    fd_tool fill "${W[status]}"
    echo data >in
    start_pump -s 100 <in >&"${W[out]}" 100>&"${W[status]}"
    close_writer status
    close_writer out
    eventually grep -q '^State:[[:space:]]*S' "/proc/$PID/status"
    close_reader status
    expect_exit 75
    [[ -z $(cat <&"${R[out]}") ]]
}

@test "a status socket is a lifeline, too" {
    local status=0
    with_pairs 100:101 <<'END' || status=$?
        mkfifo idle
        exec 110<>idle
        "$PUMP" -s 100 <&110 101>&- >out &
        exec 100>&-
        head -c 1 <&101 >/dev/null
        exec 101>&-
        wait $!
END
    ((status == 75))
}

@test "a status reader that has gone before the start is a lost lifeline" {
    make_pipe status
    close_reader status
    echo data >in
    run -75 pump -s 100 0 101 <in 101>out 100>&"${W[status]}"
}

@test "a status file is no lifeline" {
    local i
    make_pipe in
    start_pump -s 100 <&"${R[in]}" >out 100>status
    eventually test -s status
    for i in one two; do
        echo "$i" >&"${W[in]}"
        eventually grep -q "$i" out
    done
    close_writer in
    expect_exit 0
    records status
}
