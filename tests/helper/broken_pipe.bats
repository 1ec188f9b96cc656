#!/usr/bin/env bats
# The reader of the output goes away: not an error, but what is read from then
# on is discarded for --drain, and then the input is closed.

load common

# A hop between two pipes whose reader is gone, with the engine in $engine:
# start_broken OPTION...
start_broken() {
    make_pipe in
    make_pipe out
    start_pump -e "$engine" -s 100 "$@" <&"${R[in]}" >&"${W[out]}" 100>status
    close_reader in
    close_writer out
    eventually test -s status
    close_reader out
}

# Milliseconds until the pump, which has to succeed, has ended.
time_to_end() {
    local begin
    begin=$(now_ms)
    expect_exit 0
    MS=$(($(now_ms) - begin))
}

@test "yes | cuprum-pump | head -1 ends within a second" {
    local engine begin
    for engine in auto $(engines); do
        begin=$(now_ms)
        [[ $(endless | pump -e "$engine" | head -1) == y ]]
        within 0 $(($(now_ms) - begin)) 1000
    done
}

@test "a broken pipe is a success, and the record says so" {
    local engine
    for engine in $(engines); do
        endless | pump -e "$engine" -s 100 100>status | head -1 >out
        [[ $(<out) == y ]]
        records status 'hop[0].broken_pipe' 'hop[0].drain == "timeout"' \
            'hop[0].errno == 0' 'hop[0].discarded > 0' 'end.errno == 0'
    done
}

@test "--drain=0 closes at once, while the input is idle" {
    local engine
    for engine in $(engines); do
        start_broken --drain=0
        time_to_end
        within 0 "$MS" 200
        records status 'hop[0].broken_pipe' 'hop[0].drain == "closed"' \
            'hop[0].read == 0'
        close_writer in
    done
}

@test "--drain=0 gives the writer its SIGPIPE" {
    local engine statuses
    for engine in $(engines); do
        env --default-signal yes | pump -e "$engine" -d 0 -s 100 100>status |
            head -1 >out || statuses=("${PIPESTATUS[@]}")
        [[ ${statuses[*]} == '141 0 0' ]]
        [[ $(<out) == y ]]
        records status 'hop[0].drain == "closed"'
    done
}

@test "the default drain is a quarter of a second, while the input is idle" {
    local engine
    for engine in $(engines); do
        start_broken
        time_to_end
        within 200 "$MS" 600
        records status 'hop[0].broken_pipe' 'hop[0].drain == "timeout"'
        close_writer in
    done
}

@test "the drain is not prolonged by input that keeps coming" {
    local engine begin
    for engine in $(engines); do
        begin=$(now_ms)
        endless | pump -e "$engine" -d 0.3 -s 100 100>status | head -1 >out
        within 300 $(($(now_ms) - begin)) 800
        records status 'hop[0].drain == "timeout"'
    done
}

@test "--drain=2 goes on for two seconds" {
    local engine=copy
    start_broken --drain=2
    time_to_end
    within 1900 "$MS" 2500
    records status 'hop[0].drain == "timeout"'
    close_writer in
}

@test "a drain ends with its input, and every byte is accounted for" {
    local engine drain
    for engine in $(engines); do
        for drain in 2 forever; do
            start_broken --drain="$drain"
            head -c 1000000 /dev/zero >&"${W[in]}"
            close_writer in
            time_to_end
            within 0 "$MS" 500
            records status 'hop[0].broken_pipe' 'hop[0].drain == "eof"' \
                'hop[0].read == 1000000' 'hop[0].discarded == 1000000'
        done
    done
}

@test "--drain=forever keeps the writer alive until it is done" {
    local engine
    for engine in $(engines); do
        start_broken --drain=forever
        head -c 1000000 /dev/zero >&"${W[in]}"
        sleep 0.6
        is_running "$PID"
        head -c 1000000 /dev/zero >&"${W[in]}"
        close_writer in
        expect_exit 0
        records status 'hop[0].drain == "eof"' 'hop[0].discarded == 2000000'
    done
}

@test "a reader that leaves half-way: written plus discarded is what was read" {
    local engine
    sample 3000000 >data
    for engine in $(engines); do
        # shellcheck disable=SC2002 # the input has to be a pipe
        cat data | pump -e "$engine" -d forever -s 100 100>status |
            head -c 1234567 >out
        cmp -n 1234567 data out
        records status 'hop[0].broken_pipe' 'hop[0].read == 3000000' \
            'hop[0].written >= 1234567' 'hop[0].discarded > 0'
    done
}

@test "a regular file is drained as well" {
    local engine
    for engine in $(engines); do
        sample 3000000 >data
        pump -e "$engine" -d forever -s 100 <data 100>status | head -c 1 >out
        records status 'hop[0].drain == "eof"' 'hop[0].read == 3000000'
    done
}

@test "a reader that goes while the pump is blocked on it is noticed at once" {
    local engine producer pumping
    for engine in $(engines); do
        make_pipe in
        make_pipe out
        start_pump -e "$engine" -d 0 -s 100 <&"${R[in]}" >&"${W[out]}" 100>status
        pumping=$PID
        spawn cat /dev/zero >&"${W[in]}"
        producer=$PID
        close_reader in
        close_writer in
        close_writer out
        eventually queued_is "${R[out]}" "$(pipe_size "${R[out]}")"
        close_reader out
        PID=$pumping
        time_to_end
        within 0 "$MS" 200
        expect_exit 141 "$producer"
        records status 'hop[0].drain == "closed"' 'hop[0].written > 0'
    done
}

@test "input that has ended before the reader goes is no broken pipe" {
    local engine
    for engine in $(engines); do
        printf data | pump -e "$engine" -s 100 100>status | cat >out
        records status 'not hop[0].broken_pipe' 'hop[0].drain is None'
    done
}
