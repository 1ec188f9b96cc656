#!/usr/bin/env bats
# Stream sockets on either side, on both, and one socket in two hops.

load common

setup_file() {
    export DATA=$BATS_FILE_TMPDIR/data
    "$PYTHON" -I "$LIB/fd.py" sample 3000000 >"$DATA" 3>&-
}

@test "a socket as input" {
    with_pairs 100:101 <<'END'
        "$PUMP" -s 102 100 1 101>&- 102>status >out &
        exec 100>&-
        cat "$DATA" >&101
        exec 101>&-
        wait $!
END
    cmp "$DATA" out
    records status 'hop[0].engine == "copy"' 'hop[0].written == 3000000'
}

@test "a socket as output" {
    with_pairs 100:101 <<'END'
        cat <&101 100>&- >out &
        exec 101>&-
        cat "$DATA" | "$PUMP" -s 102 0 100 102>status
        exec 100>&-
        wait $!
END
    cmp "$DATA" out
    records status 'hop[0].engine == "copy"' 'hop[0].written == 3000000'
}

@test "sockets on both sides" {
    with_pairs 100:101 102:103 <<'END'
        cat <&103 100>&- 101>&- 102>&- >out &
        cat "$DATA" >&101 100>&- 102>&- 103>&- &
        exec 101>&- 103>&-
        "$PUMP" -s 104 100 102 104>status
        exec 100>&- 102>&-
        wait
END
    cmp "$DATA" out
    records status 'hop[0].engine == "copy"' 'hop[0].written == 3000000'
}

@test "a forced splice does not touch a socket" {
    local status=0
    with_pairs 100:101 <<'END' 2>err || status=$?
        printf data >&101
        exec 101>&-
        cat </dev/null | "$PUMP" -e splice -s 102 100 1 102>status | cat >out
        exit "${PIPESTATUS[1]}"
END
    ((status == 74))
    [[ ! -s out ]]
    records status 'hop[0].errno != 0' 'hop[0].read == 0'
}

@test "a two-way relay between sockets, with half-closes in between" {
    with_pairs 100:101 102:103 <<'END'
        "$PUMP" -s 104 100 102 102 100 101>&- 103>&- 104>status &
        exec 100>&- 102>&-
        (
            cat "$DATA" >&101
            "$PYTHON" -I "$LIB/fd.py" shutdown 101
        ) 103>&- &
        cat <&103 101>&- >request
        printf 'the answer' >&103
        exec 103>&-
        cat <&101 >answer
        exec 101>&-
        wait
END
    cmp "$DATA" request
    [[ $(<answer) == 'the answer' ]]
    records status 'hop[0].written == 3000000' 'hop[1].written == 10' \
        'hop[0].errno == 0' 'hop[1].errno == 0'
}

@test "a socket whose peer is gone is a broken pipe" {
    with_pairs 100:101 <<'END'
        exec 101>&-
        cat "$DATA" | "$PUMP" -d forever -s 102 0 100 102>status
END
    records status 'hop[0].broken_pipe' 'hop[0].drain == "eof"' \
        'hop[0].read == 3000000' 'hop[0].discarded > 0'
}

@test "a socket whose peer goes while the input is idle is a broken pipe" {
    with_pairs 100:101 <<'END'
        mkfifo idle
        exec 110<>idle
        "$PUMP" -d 0 -s 102 0 100 101>&- <&110 102>status &
        exec 100>&-
        until [[ -s status ]]; do sleep 0.02; done
        exec 101>&-
        wait $!
END
    records status 'hop[0].broken_pipe' 'hop[0].drain == "closed"' \
        'hop[0].read == 0'
}

@test "a peer that ends its sending side goes on receiving" {
    with_pairs 100:101 <<'END'
        "$PYTHON" -I "$LIB/fd.py" shutdown 101
        cat <&101 100>&- >out &
        exec 101>&-
        cat "$DATA" | "$PUMP" -s 102 0 100 102>status
        exec 100>&-
        wait $!
END
    cmp "$DATA" out
    records status 'not hop[0].broken_pipe' 'hop[0].written == 3000000'
}

@test "a socket input that was reset is an error, not an end of file" {
    local status=0
    with_pairs 100:101 <<'END' 2>err || status=$?
        # A peer that closes with data unread resets the connection.
        printf unread >&100
        exec 101>&-
        "$PUMP" -s 102 100 1 102>status >out
END
    ((status == 74))
    records status 'hop[0].error == "ECONNRESET"' 'hop[0].side == "read"'
    grep -q 100 err
}

@test "non-blocking sockets work, and stay so" {
    with_pairs 100:101 102:103 <<'END'
        "$PYTHON" -I "$LIB/fd.py" nonblock 100 102
        cat <&103 100>&- 101>&- 102>&- >out &
        cat "$DATA" >&101 100>&- 102>&- 103>&- &
        exec 101>&- 103>&-
        "$PUMP" 100 102
        grep -q '^flags:.*4002$' /proc/self/fdinfo/100
        grep -q '^flags:.*4002$' /proc/self/fdinfo/102
        exec 100>&- 102>&-
        wait
END
    cmp "$DATA" out
}

@test "blocking sockets are blocking again afterwards" {
    with_pairs 100:101 102:103 <<'END'
        cat "$DATA" >&101 100>&- &
        cat <&103 >out 100>&- 101>&- 102>&- &
        exec 101>&- 103>&-
        "$PUMP" 100 102
        grep -q '^flags:.*02$' /proc/self/fdinfo/100
        ! grep -q '^flags:.*4002$' /proc/self/fdinfo/100
        ! grep -q '^flags:.*4002$' /proc/self/fdinfo/102
        exec 100>&- 102>&-
        wait
END
    cmp "$DATA" out
}
