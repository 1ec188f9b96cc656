#!/usr/bin/env bats
# --pipe-size, seen from outside: the capacity of the pipes at both ends.

load common

# A hop between two pipes of 64 KiB.
start_between_pipes() {
    make_pipe in
    make_pipe out
    fd_tool pipe-size "${R[in]}" 65536
    fd_tool pipe-size "${R[out]}" 65536
    start_pump -s 100 "$@" <&"${R[in]}" >&"${W[out]}" 100>status
    PUMPING=$PID
}

# Send $1 bytes through the hop, and see them come out.
send() {
    spawn head -c "$1" /dev/zero >&"${W[in]}"
    (($(head -c "$1" <&"${R[out]}" | wc -c) == $1))
    reap
}

sizes_are() {
    pipe_size_is "${R[in]}" "$1" && pipe_size_is "${R[out]}" "$1"
}

finish() {
    close_writer in
    expect_exit 0 "$PUMPING"
    records status 'hop[0].errno == 0' "$@"
    close_reader in
    close_reader out
    close_writer out
}

@test "auto leaves pipes as they are until 1 MiB, then asks for 256 KiB" {
    local engine option
    for engine in $(engines); do
        for option in '' --pipe-size=auto; do
            start_between_pipes -e "$engine" $option
            send 524288
            sizes_are 65536
            send 1048576
            eventually sizes_are 262144
            finish 'hop[0].written == 1572864'
        done
    done
}

@test "a short transfer leaves the capacities alone to its end" {
    local engine
    for engine in $(engines); do
        start_between_pipes -e "$engine"
        send 1048575
        finish_and_look 65536
        start_between_pipes -e "$engine"
        send 1
        finish_and_look 65536
    done
}

# See the capacities once more when the hop has ended.
finish_and_look() {
    close_writer in
    expect_exit 0 "$PUMPING"
    sizes_are "$1"
    records status 'hop[0].errno == 0'
    close_reader in
    close_reader out
    close_writer out
}

@test "auto does not shrink a pipe that is larger" {
    local engine
    for engine in $(engines); do
        start_between_pipes -e "$engine"
        fd_tool pipe-size "${R[in]}" 524288
        send 2097152
        eventually pipe_size_is "${R[out]}" 262144
        pipe_size_is "${R[in]}" 524288
        finish 'hop[0].written == 2097152'
    done
}

@test "keep never touches a pipe" {
    local engine
    for engine in $(engines); do
        start_between_pipes -e "$engine" -z keep
        send 4194304
        sizes_are 65536
        finish 'hop[0].written == 4194304'
    done
}

@test "a size is asked for at the start" {
    local engine
    for engine in $(engines); do
        start_between_pipes -e "$engine" -z 128K
        eventually sizes_are 131072
        send 2097152
        sizes_are 131072
        finish
        start_between_pipes -e "$engine" --pipe-size=4096
        eventually sizes_are 4096
        finish
    done
}

@test "a size that the kernel refuses is no error" {
    local engine
    for engine in $(engines); do
        make_pipe in
        make_pipe out
        fd_tool pipe-size "${R[in]}" 65536
        fd_tool fill "${W[in]}"
        # EBUSY: more waits in the pipe than would fit.
        start_pump -e "$engine" -z 4K -s 100 <&"${R[in]}" >&"${W[out]}" 100>status
        close_writer in
        close_writer out
        (($(wc -c <&"${R[out]}") == 65536))
        expect_exit 0
        records status 'hop[0].written == 65536' 'end.errno == 0'
        pipe_size_is "${R[in]}" 65536
        close_reader in
        close_reader out
    done
}

@test "a size larger than a user may have is no error" {
    local nobody=()
    if ((EUID == 0)); then
        nobody=(setpriv --reuid=65534 --clear-groups)
    fi
    # EPERM: above /proc/sys/fs/pipe-max-size, without privilege.
    echo data | timeout 20 "${nobody[@]}" "$PUMP" -z 1G -s 100 100>status |
        cat >out
    [[ $(<out) == data ]]
    records status 'hop[0].written == 5'
}

@test "what is no pipe has no size, and that is no error" {
    local size
    sample 2000000 >data
    for size in auto 1M; do
        pump -z "$size" -s 100 <data >out 100>status
        cmp data out
        records status 'hop[0].written == 2000000' 'end.errno == 0'
    done
}

# The user whose quota is filled: root has none, so another one; and a number
# of our own, since other tests have their pipes too.
as_user() {
    if ((EUID == 0)); then
        setpriv --reuid=64123 --clear-groups "$@"
    else
        "$@"
    fi
}

@test "past the quota for pipes a refusal changes nothing but the speed" {
    local engine option
    chmod 711 .
    for engine in $(engines); do
        for option in auto 64K 1M; do
            : >status
            # shellcheck disable=SC2016 # for the inner shell
            as_user timeout -k 1 20 "$PYTHON" -I "$LIB/fd.py" past-quota -- \
                bash -eu -o pipefail -c '
                    head -c 3000000 /dev/zero | {
                        "$PYTHON" -I "$LIB/fd.py" pipe-size 0 >&101
                        ! "$PYTHON" -I "$LIB/fd.py" pipe-size 0 65536 2>&102
                        "$PUMP" -e "$1" -z "$2" -s 100 >&103 100>&100
                        "$PYTHON" -I "$LIB/fd.py" pipe-size 0 >&101
                    }' - "$engine" "$option" 3>&- 100>status 101>sizes \
                102>refusal 103> >(wc -c >count)
            # New pipes have two pages by then, and may not have more.
            grep -q 'PermissionError' refusal
            [[ $(<sizes) == 8192$'\n'8192 ]]
            records status 'hop[0].written == 3000000' 'end.errno == 0'
            eventually test -s count
            (($(<count) == 3000000))
            rm count
        done
    done
}
