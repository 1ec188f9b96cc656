#!/usr/bin/env bats
# Progress, and the time that a hop spends waiting for either side.

load common

@test "progress comes at the interval, with counters that grow" {
    make_pipe in
    start_pump -s 100 -p 0.1 <&"${R[in]}" >out 100>status
    for _ in {1..10}; do
        printf 12345 >&"${W[in]}"
        sleep 0.1
    done
    close_writer in
    expect_exit 0
    records status '5 <= len(progress) <= 15' \
        'progress[0].read < progress[-1].read' \
        '300e6 < progress[4].elapsed_ns - progress[0].elapsed_ns < 500e6' \
        'hop[0].written == 50'
}

@test "without --progress there is none" {
    { sleep 0.2; } | pump -s 100 100>status
    records status 'not progress'
}

@test "progress goes on while starved, and says so" {
    local engine
    for engine in $(engines); do
        make_pipe in
        make_pipe out
        start_pump -e "$engine" -s 100 -p 0.05 <&"${R[in]}" >&"${W[out]}" \
            100>status
        printf 12345 >&"${W[in]}"
        eventually records_so_far status 'len(progress) >= 6'
        close_writer in
        expect_exit 0
        records status 'progress[-1].waiting == "input"' \
            'progress[-1].wait_input_ns > progress[-3].wait_input_ns + 60e6' \
            'progress[-1].wait_output_ns < 50e6' \
            'progress[-1].read == progress[-1].written == 5'
        close_reader in
        close_reader out
        close_writer out
    done
}

@test "progress goes on while blocked, and says so" {
    local engine producer pumping
    for engine in $(engines); do
        make_pipe in
        make_pipe out
        spawn cat /dev/zero >&"${W[in]}"
        producer=$PID
        start_pump -e "$engine" -d 0 -s 100 -p 0.05 <&"${R[in]}" >&"${W[out]}" \
            100>status
        pumping=$PID
        close_reader in
        close_writer in
        close_writer out
        eventually records_so_far status 'len(progress) >= 6' \
            'progress[-1].waiting == "output"'
        close_reader out
        expect_exit 0 "$pumping"
        reap "$producer"
        # One interval at least: of three, the first may be up to one late.
        records status 'progress[-1].waiting == "output"' \
            'progress[-1].wait_output_ns > progress[-3].wait_output_ns + 45e6' \
            'progress[-1].wait_input_ns < 100e6' \
            'hop[0].wait_output_ns >= progress[-1].wait_output_ns'
    done
}

@test "progress is told for live hops alone" {
    make_pipe in
    start_pump -s 100 -p 0.05 0 1 101 102 100>status </dev/null >out \
        101<&"${R[in]}" 102>two
    eventually records_so_far status 'len(progress) >= 3'
    close_writer in
    expect_exit 0
    records status 'all(p.hop == 1 for p in progress)' 'len(hop) == 2'
}

@test "a slow producer shows as waiting for input" {
    local engine
    for engine in $(engines); do
        for _ in 1 2 3 4 5; do
            echo data
            sleep 0.1
        done | pump -e "$engine" -s 100 100>status | cat >out
        records status '350e6 < hop[0].wait_input_ns < 900e6' \
            'hop[0].wait_output_ns < 100e6' \
            'hop[0].elapsed_ns >= hop[0].wait_input_ns'
    done
}

@test "a slow consumer shows as waiting for output" {
    local engine
    for engine in $(engines); do
        head -c 1000000 /dev/zero | pump -e "$engine" -s 100 100>status | {
            sleep 0.5
            cat >out
        }
        records status '350e6 < hop[0].wait_output_ns < 900e6' \
            'hop[0].wait_input_ns < 150e6' 'hop[0].written == 1000000'
    done
}

@test "a hop at full speed waits for nobody in particular" {
    head -c 1000000 /dev/zero >in
    pump -s 100 <in >out 100>status
    records status 'hop[0].wait_input_ns < 50e6' 'hop[0].wait_output_ns < 50e6'
}
