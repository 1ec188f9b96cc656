#!/usr/bin/env bats
# Descriptors that cannot serve (exit status 71, before a byte moves), and
# what happens to those that can.

load common

# refuses_descriptor NUMBER WORD ARGUMENT...: the message has both; WORD is
# mostly read, write or status.
refuses_descriptor() {
    local number=$1 word=$2 got=0
    shift 2
    pump "$@" 2>err || got=$?
    if ! [[ $got == 71 && $(wc -l <err) == 1 && $(<err) == cuprum-pump:\ * ]] ||
        ! grep -qw -e "$number" err || ! grep -qi -e "$word" err; then
        echo "exit status $got, expected 71, $number and $word in:" >&2
        cat err >&2
        return 1
    fi
}

@test "an input that is not open is refused" {
    refuses_descriptor 100 read 100 1 >out
    refuses_descriptor 0 read <&- >out
    [[ ! -s out ]]
}

@test "an output that is not open is refused" {
    echo data >in
    refuses_descriptor 100 write 0 100 <in
    refuses_descriptor 1 write <in >&-
}

@test "a status descriptor that is not open is refused" {
    echo data >in
    refuses_descriptor 100 status -s 100 <in >out
    [[ ! -s out ]]
}

@test "an input that is open for writing alone is refused" {
    refuses_descriptor 0 read 0>there >out
    refuses_descriptor 100 read 100 1 100>there >out
    [[ ! -s out ]]
}

@test "an output that is open for reading alone is refused" {
    echo data >in
    echo precious >there
    refuses_descriptor 1 write <in 1<there
    refuses_descriptor 100 write 0 100 <in 100<there
    [[ $(<there) == precious ]]
}

@test "a status descriptor that is open for reading alone is refused" {
    echo data >in
    refuses_descriptor 100 status -s 100 <in >out 100</dev/null
    [[ ! -s out ]]
}

@test "the wrong end of a pipe is refused" {
    make_pipe one
    refuses_descriptor 100 read 100 1 100>&"${W[one]}" >out
    refuses_descriptor 100 write 0 100 100<&"${R[one]}" </dev/null
}

@test "a directory is refused" {
    mkdir directory
    refuses_descriptor 0 read <directory >out
    refuses_descriptor 100 read 100 1 100<directory >out
    grep -qi 'directory' err
}

@test "one bad descriptor stops every hop before a byte moves" {
    local fd
    echo untouched >in
    exec {fd}<in
    refuses_descriptor 109 read 0 1 109 100 <&"$fd" >out 100>two
    refuses_descriptor 108 write 0 1 100 108 <&"$fd" >out 100</dev/null
    [[ $(cat <&"$fd") == untouched ]]
    [[ ! -s out && ! -s two ]]
}

@test "a descriptor far above the limit is refused, not crashed on" {
    refuses_descriptor 2147483647 read 2147483647 1 >out
    refuses_descriptor 1000000 write 0 1000000 </dev/null
}

@test "more hops than poll(2) has room for are refused before a byte moves" {
    local fd operands=()
    echo untouched >in
    # Opened before the limit is lowered: then it is no limit on these.
    for ((fd = 100; fd < 140; fd += 2)); do
        eval "exec $fd<in $((fd + 1))>>out"
        operands+=("$fd" "$((fd + 1))")
    done
    exec 140>status
    ulimit -n 20
    refuses_descriptor 20 hops -s 140 "${operands[@]}"
    [[ $(cat <&100) == untouched && ! -s out ]]
    [[ $(<status) == '{"event":"end","errno":22,"error":"EINVAL"}' ]]
}

@test "a descriptor open for both directions serves either side" {
    echo data >in
    : >both
    pump 0 100 <in 100<>both
    [[ $(<both) == data ]]
    pump 100 1 100<>both >out
    [[ $(<out) == data ]]
}

@test "one input may feed two hops, and each byte goes to one of them" {
    sample 1000000 >in
    # shellcheck disable=SC2002 # the input has to be a pipe
    cat in | pump -s 100 0 101 0 102 100>status 101>a 102>b
    records status 'sum(h.written for h in hop) == 1000000' 'end.errno == 0'
    (($(stat -c %s a) + $(stat -c %s b) == 1000000))
}

@test "descriptors that are non-blocking already work, and stay so" {
    local engine pumping producer consumer
    sample 3000000 >data
    for engine in $(engines); do
        make_pipe in
        make_pipe out
        fd_tool nonblock "${R[in]}" "${W[out]}"
        start_pump -e "$engine" -s 100 <&"${R[in]}" >&"${W[out]}" 100>status
        pumping=$PID
        spawn cat data >&"${W[in]}"
        producer=$PID
        spawn head -c 3000000 <&"${R[out]}" >out
        consumer=$PID
        close_writer in
        expect_exit 0 "$producer"
        expect_exit 0 "$pumping"
        expect_exit 0 "$consumer"
        cmp data out
        records status 'hop[0].written == 3000000' "hop[0].engine == '$engine'"
        is_nonblocking "${R[in]}"
        is_nonblocking "${W[out]}"
        close_reader in
        close_reader out
        close_writer out
    done
}

@test "descriptors that are blocking are blocking again afterwards" {
    local engine
    for engine in $(engines); do
        make_pipe in
        make_pipe out
        start_pump -e "$engine" <&"${R[in]}" >&"${W[out]}"
        printf 12345 >&"${W[in]}"
        eventually queued_is "${R[out]}" 5
        close_writer in
        expect_exit 0
        run -1 is_nonblocking "${R[in]}"
        run -1 is_nonblocking "${W[out]}"
        close_reader in
        close_reader out
        close_writer out
    done
}

@test "flags are restored after a signal, too" {
    local engine
    for engine in $(engines); do
        make_pipe in
        make_pipe out
        fd_tool nonblock "${R[in]}"
        start_pump -e "$engine" <&"${R[in]}" >&"${W[out]}"
        printf 12345 >&"${W[in]}"
        eventually queued_is "${R[out]}" 5
        kill -TERM "$PID"
        expect_exit 143
        is_nonblocking "${R[in]}"
        run -1 is_nonblocking "${W[out]}"
        close_reader in
        close_writer in
        close_reader out
        close_writer out
    done
}

@test "a terminal that takes no more does not stop progress or signals" {
    local status=0
    : >status
    with_pairs --pty 100:101 <<'END' || status=$?
        env --default-signal "$PUMP" -s 102 -p 0.02 0 100 </dev/zero \
            102>status 101>&- &
        for _ in {1..100}; do
            (($(grep -c '"waiting":"output"' status) < 5)) || break
            sleep 0.05
        done
        kill -TERM $!
        for _ in {1..100}; do
            kill -0 $! 2>/dev/null || break
            sleep 0.05
        done
        kill -KILL $! 2>/dev/null || :
        wait $!
END
    ((status == 143))
    records status 'progress[-1].waiting == "output"' 'end.error == "EINTR"'
}

@test "a terminal is fed and read to its end" {
    need_terminal
    sample 30000 >data
    fd_tool pty 100 -- timeout 20 "$PUMP" -s 101 0 100 101>status <data >out
    cmp data out
    records status 'hop[0].written == 30000' 'hop[0].engine == "copy"'
}
