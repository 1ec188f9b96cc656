#!/usr/bin/env bats
# Several hops in one process.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, on purpose
load common

@test "126 hops at once, one after the other on the bytes' way" {
    local engine operands=() ends=() i from status
    sample 500000 >data
    for engine in $(engines); do
        operands=() ends=()
        make_pipe last
        exec {from}< <(exec cat data 3>&-)
        ends+=("$from")
        for ((i = 1; i < 126; i++)); do
            make_pipe link
            operands+=("$from" "${W[link]}")
            ends+=("${R[link]}" "${W[link]}")
            from=${R[link]}
        done
        operands+=("$from" "${W[last]}")
        exec {status}>status
        env --default-signal "$PUMP" -e "$engine" -s "$status" \
            "${operands[@]}" 3>&- &
        PID=$!
        SPAWNED+=("$PID")
        for i in "${ends[@]}" "${W[last]}"; do
            exec {i}>&-
        done
        cmp data <&"${R[last]}"
        expect_exit 0
        close_reader last
        records status 'start.hops == 126' \
            'all(h.written == 500000 for h in hop)'
    done
}

@test "126 hops side by side do not mix" {
    local operands=() i from to
    for ((i = 0; i < 126; i++)); do
        exec {from}< <(exec seq "$i" $((i + 3000)) 3>&-)
        exec {to}>"out.$i"
        operands+=("$from" "$to")
    done
    pump "${operands[@]}"
    for ((i = 0; i < 126; i++)); do
        cmp "out.$i" <(seq "$i" $((i + 3000)))
    done
}

# Two hops over pipes: a to b by 0 1, c to d by 101 102.
start_two_hops() {
    make_pipe a
    make_pipe b
    make_pipe c
    make_pipe d
    start_pump -s 100 "$@" 0 1 101 102 100>status <&"${R[a]}" >&"${W[b]}" \
        101<&"${R[c]}" 102>&"${W[d]}"
    close_reader a
    close_writer b
    close_reader c
    close_writer d
}

# The second hop passes a line on, and ends with its input.
second_hop_lives() {
    local got
    echo 'still here' >&"${W[c]}"
    read -r -t 5 got <&"${R[d]}"
    [[ $got == 'still here' ]]
    close_writer c
    expect_exit "$1"
}

@test "one hop's end of file is seen at once and does not stop the other" {
    start_two_hops
    close_writer a
    [[ -z $(timeout 5 cat <&"${R[b]}") ]]
    eventually records_so_far status 'hop[0].errno == 0'
    second_hop_lives 0
    records status 'hop[1].written == 11'
}

@test "one hop's broken pipe does not stop the other" {
    start_two_hops --drain=0
    close_reader b
    eventually records_so_far status 'hop[0].broken_pipe'
    second_hop_lives 0
    records status 'not hop[1].broken_pipe' 'hop[1].written == 11'
}

@test "one hop's error does not stop the other, and is the exit status" {
    make_pipe c
    make_pipe d
    start_pump -s 100 0 1 101 102 100>status </dev/zero >/dev/full 2>err \
        101<&"${R[c]}" 102>&"${W[d]}"
    eventually records_so_far status 'hop[0].error == "ENOSPC"'
    second_hop_lives 74
    records status 'hop[1].errno == 0' 'hop[1].written == 11'
}

@test "a hop that drains does not block on an input that another hop shares" {
    local i told
    make_pipe in
    make_pipe gone
    close_reader gone
    start_pump -s 100 -p 0.02 -d forever 0 101 0 102 <&"${R[in]}" 101>out \
        102>&"${W[gone]}" 100>status
    eventually records_so_far status 'len(progress) > 0'
    for i in {1..5}; do
        echo data >&"${W[in]}"
        eventually queued_is "${R[in]}" 0
        told=$(grep -c progress status)
        eventually records_so_far status "len(progress) > $told + 4"
    done
    close_writer in
    expect_exit 0
    records status 'hop[1].broken_pipe' 'hop[0].read + hop[1].read == 25'
}

@test "hops whose outputs are one pipe do not block each other at their ends" {
    local producer pumping
    make_pipe in
    make_pipe out
    spawn cat /dev/zero >&"${W[in]}"
    producer=$PID
    start_pump -e copy -s 100 -p 0.02 -d 0 101 102 0 1 <&"${R[in]}" \
        >&"${W[out]}" 101</dev/null 102>&"${W[out]}" 100>status
    pumping=$PID
    close_reader in
    close_writer in
    close_writer out
    eventually records_so_far status 'hop[0].hop == 0' 'len(progress) > 10' \
        'progress[-1].waiting == "output"'
    kill -TERM "$pumping"
    expect_exit 143 "$pumping"
    expect_exit 141 "$producer"
    records status 'end.error == "EINTR"'
}

@test "one hop that is blocked does not stop the other" {
    start_two_hops
    spawn cat /dev/zero >&"${W[a]}"
    local producer=$PID pumping=${SPAWNED[0]} got
    eventually queued_is "${R[b]}" "$(pipe_size "${R[b]}")"
    echo 'still here' >&"${W[c]}"
    read -r -t 5 got <&"${R[d]}"
    [[ $got == 'still here' ]]
    close_writer c
    close_reader b
    close_writer a
    reap "$producer"
    expect_exit 0 "$pumping"
    records status 'hop[0].broken_pipe' 'hop[1].written == 11'
}
