#!/usr/bin/env bats
# Death by a signal is reported before it happens; ignored signals stay so.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, on purpose
load common

# A hop between two pipes; five bytes have gone through it.
start_idle() {
    make_pipe in
    make_pipe out
    start_pump -s 100 "$@" <&"${R[in]}" >&"${W[out]}" 100>status
    printf 12345 >&"${W[in]}"
    eventually queued_is "${R[out]}" 5
}

close_all() {
    close_reader in
    close_writer in
    close_reader out
    close_writer out
}

@test "TERM, HUP, INT and QUIT end it by that signal, after its records" {
    local engine signal
    for engine in $(engines); do
        for signal in HUP INT QUIT TERM; do
            start_idle -e "$engine"
            kill -"$signal" "$PID"
            expect_exit $((128 + $(kill -l "$signal")))
            records status 'hop[0].read == 5' 'hop[0].written == 5' \
                'end.error == "EINTR"'
            close_all
        done
    done
}

@test "every hop that was alive has its record, and none has two" {
    make_pipe in
    make_pipe out
    start_pump -s 100 0 1 101 102 103 104 100>status 102>two 104>three \
        <&"${R[in]}" >&"${W[out]}" 101</dev/null 103<&"${R[in]}"
    eventually records_so_far status 'hop[0].hop == 1'
    kill -TERM "$PID"
    expect_exit 143
    records status 'len(hop) == 3' 'hop[1].errno == 0' 'end.error == "EINTR"'
}

@test "killed while blocked on its output, it accounts for every byte" {
    local engine producer pumping
    for engine in $(engines); do
        make_pipe in
        make_pipe out
        start_pump -e "$engine" -b 7000 -s 100 -p 0.02 <&"${R[in]}" \
            >&"${W[out]}" 100>status
        pumping=$PID
        spawn yes >&"${W[in]}"
        producer=$PID
        close_reader in
        close_writer in
        close_writer out
        eventually records_so_far status 'progress[-1].waiting == "output"' \
            'progress[-1].written == progress[-2].written'
        kill -TERM "$pumping"
        expect_exit 143 "$pumping"
        expect_exit 141 "$producer"
        cat <&"${R[out]}" >out
        records status "hop[0].written == $(stat -c %s out)" \
            'end.error == "EINTR"'
        close_reader out
    done
}

@test "a signal that comes twice costs no record" {
    # timeout(1) signals its child, and then the group that the child is in.
    # Many hops make it likely that the second one comes amid the records.
    local i to status operands=()
    make_pipe in
    for ((i = 0; i < 100; i++)); do
        exec {to}>/dev/null
        operands+=("${R[in]}" "$to")
    done
    for i in {1..10}; do
        exec {status}>"status.$i"
        env --default-signal "$PUMP" -s "$status" "${operands[@]}" 3>&- &
        PID=$!
        SPAWNED+=("$PID")
        eventually test -s "status.$i"
        kill -TERM "$PID"
        kill -TERM "$PID" || :
        expect_exit 143
        records "status.$i" 'end.error == "EINTR"'
    done
}

@test "killed during a drain, it says so" {
    local engine=copy
    start_idle -d forever
    close_reader out
    head -c 100000 /dev/zero >&"${W[in]}"
    eventually queued_is "${R[in]}" 0
    kill -TERM "$PID"
    expect_exit 143
    records status 'hop[0].broken_pipe' 'hop[0].read == 100005' \
        'end.error == "EINTR"'
}

@test "--ignore-interrupts ignores INT and QUIT, but not TERM" {
    local form
    for form in -i --ignore-interrupts; do
        start_idle "$form"
        kill -INT "$PID"
        kill -QUIT "$PID"
        printf 678 >&"${W[in]}"
        eventually queued_is "${R[out]}" 8
        kill -TERM "$PID"
        expect_exit 143
        records status 'hop[0].written == 8' 'end.error == "EINTR"'
        close_all
    done
}

@test "PIPE never ends it" {
    start_idle
    kill -PIPE "$PID"
    printf 678 >&"${W[in]}"
    eventually queued_is "${R[out]}" 8
    close_writer in
    expect_exit 0
    records status 'hop[0].written == 8' 'end.errno == 0'
}

@test "a signal that was ignored at the start stays ignored" {
    make_pipe in
    make_pipe out
    spawn env --ignore-signal=HUP "$PUMP" -s 100 100>status \
        <&"${R[in]}" >&"${W[out]}"
    printf 12345 >&"${W[in]}"
    eventually queued_is "${R[out]}" 5
    kill -HUP "$PID"
    printf 678 >&"${W[in]}"
    eventually queued_is "${R[out]}" 8
    close_writer in
    expect_exit 0
    records status 'hop[0].written == 8'
}

@test "a signal that was blocked at the start does not upset it" {
    make_pipe in
    make_pipe out
    spawn env --block-signal=TERM,CHLD,USR1,PIPE "$PUMP" -s 100 100>status \
        <&"${R[in]}" >&"${W[out]}"
    printf 12345 >&"${W[in]}"
    eventually queued_is "${R[out]}" 5
    close_writer in
    expect_exit 0
    records status 'hop[0].written == 5'
}

@test "without a status descriptor it dies by the signal as well" {
    make_pipe in
    start_pump <&"${R[in]}" >out 2>err
    eventually grep -q '^State:[[:space:]]*S' "/proc/$PID/status"
    kill -TERM "$PID"
    expect_exit 143
}
