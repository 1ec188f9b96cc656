#!/usr/bin/env bats
# Every byte arrives, in order, whatever the engine, the size and the kind of
# file at either end.

# shellcheck disable=SC2154 # `run` sets stderr
# shellcheck disable=SC2094 # data is read alone; the records go elsewhere
load common

SIZES=(0 1 65535 65536 65537 10485760)

setup_file() {
    local size
    for size in "${SIZES[@]}"; do
        "$PYTHON" -I "$LIB/fd.py" sample "$size" \
            >"$BATS_FILE_TMPDIR/$size" 3>&-
    done
}

# for_each_size COMMAND: COMMAND has the size in $size, the engine in $engine
# and the data in $data; it leaves a copy in out, and status records in status.
for_each_size() {
    local engine size data
    for engine in $(engines); do
        for size in "${SIZES[@]}"; do
            data=$BATS_FILE_TMPDIR/$size
            rm -f out
            "$@"
            cmp "$data" out
            records status "hop[0].written == $size" 'hop[0].discarded == 0' \
                'hop[0].errno == 0' 'end.errno == 0' \
                "hop[0].engine == '$engine' or $size == 0"
        done
    done
}

pipe_to_pipe() {
    # shellcheck disable=SC2002 # the input has to be a pipe
    cat "$data" | pump -e "$engine" -s 100 100>status | cat >out
}

file_to_pipe() {
    pump -e "$engine" -s 100 <"$data" 100>status | cat >out
}

pipe_to_file() {
    # shellcheck disable=SC2002 # the input has to be a pipe
    cat "$data" | pump -e "$engine" -s 100 100>status >out
}

@test "pipe to pipe" {
    for_each_size pipe_to_pipe
}

@test "file to pipe" {
    for_each_size file_to_pipe
}

@test "pipe to file" {
    for_each_size pipe_to_file
}

@test "file to file is copied, and cannot be spliced" {
    local data=$BATS_FILE_TMPDIR/10485760
    pump -s 100 <"$data" >out 100>status
    cmp "$data" out
    records status 'hop[0].engine == "copy"' 'hop[0].written == 10485760'

    run -74 --separate-stderr pump -e splice -s 100 0 101 <"$data" \
        101>out2 100>status
    [[ ! -s out2 ]]
    [[ $stderr == cuprum-pump:\ * ]]
    records status 'hop[0].errno != 0' 'hop[0].read == 0'
}

@test "the record names the engine that auto took" {
    local data=$BATS_FILE_TMPDIR/65537
    # shellcheck disable=SC2002 # the input has to be a pipe
    cat "$data" | pump -s 100 100>status | cmp - "$data"
    records status "hop[0].engine == '$(pipe_engine)'"
    pump -s 100 <"$data" 100>status | cmp - "$data"
    records status "hop[0].engine == '$(pipe_engine)'"
}

@test "small buffers, odd buffers and huge buffers carry the same bytes" {
    local engine buffer
    sample 20011 >data
    for engine in $(engines); do
        for buffer in 1 7 4095 4097 1M 1G; do
            # shellcheck disable=SC2002 # the input has to be a pipe
            cat data | pump -e "$engine" -b "$buffer" -s 100 100>status | cat >out
            cmp data out
            records status 'hop[0].written == 20011'
        done
    done
}

@test "a file is read from its offset, and written at its offset" {
    sample 300000 >data
    local engine fd
    for engine in $(engines); do
        exec {fd}<data
        fd_tool seek "$fd" 100001
        pump -e "$engine" <&"$fd" | cmp - <(tail -c +100002 data)
        exec {fd}<&-

        (
            printf 'a head;'
            tail -c +100002 data | pump -e "$engine"
            printf ';a tail'
        ) >out
        cmp out <(
            printf 'a head;'
            tail -c +100002 data
            printf ';a tail'
        )
    done
}

@test "an output opened for appending is appended to, and never spliced" {
    sample 200000 >data
    echo 'what was there' >out
    # shellcheck disable=SC2002 # the input has to be a pipe
    cat data | pump -s 100 100>status >>out
    cmp out <(
        echo 'what was there'
        cat data
    )
    records status 'hop[0].engine == "copy"' 'hop[0].written == 200000'
}

@test "more than 4 GiB are moved, or discarded, and counted" {
    local size=$((4 * 1024 * 1024 * 1024 + 4097)) counted
    make_pipe gone
    close_reader gone
    counted=$(head -c "$size" /dev/zero |
        pump -d forever -s 100 0 1 101 102 100>status \
            101< <(exec head -c "$size" /dev/zero 3>&-) 102>&"${W[gone]}" |
        wc -c)
    ((counted == size))
    records status "hop[0].read == $size" "hop[0].written == $size" \
        "hop[1].read == $size" "hop[1].discarded == $size"
}

@test "file offsets past 4 GiB are no obstacle" {
    local engine fd
    truncate -s 5G sparse
    printf 'the end' >>sparse
    for engine in $(engines); do
        exec {fd}<sparse
        fd_tool seek "$fd" "$((5 * 1024 * 1024 * 1024 - 3))"
        pump -e "$engine" <&"$fd" | cmp - <(printf '\0\0\0the end')
        exec {fd}<&-
    done
}

@test "a slow writer of small pieces is passed on piece by piece" {
    local engine piece got
    for engine in $(engines); do
        make_pipe in
        make_pipe out
        start_pump -e "$engine" <&"${R[in]}" >&"${W[out]}"
        for piece in one two three; do
            echo "$piece" >&"${W[in]}"
            read -r -t 5 got <&"${R[out]}"
            [[ $got == "$piece" ]]
        done
        close_writer in
        expect_exit 0
        close_reader in
        close_reader out
        close_writer out
    done
}

@test "end of file closes the output at once" {
    make_pipe in
    make_pipe out
    start_pump <&"${R[in]}" >&"${W[out]}"
    close_writer out
    close_writer in
    [[ -z $(timeout 5 cat <&"${R[out]}") ]]
    expect_exit 0
}

@test "stopped and continued, it loses nothing" {
    local engine pumping
    sample 20000000 >data
    for engine in $(engines); do
        make_pipe out
        start_pump -e "$engine" < <(exec cat data 3>&-) >&"${W[out]}"
        pumping=$PID
        close_writer out
        head -c 1000000 <&"${R[out]}" >out
        kill -STOP "$pumping"
        eventually is_stopped "$pumping"
        kill -CONT "$pumping"
        head -c 1000000 <&"${R[out]}" >>out
        kill -STOP "$pumping"
        eventually is_stopped "$pumping"
        kill -CONT "$pumping"
        cat <&"${R[out]}" >>out
        expect_exit 0 "$pumping"
        cmp data out
        close_reader out
    done
}
