#!/usr/bin/env bats
# Hops that fail (exit status 74), and what the records and standard error say.

# shellcheck disable=SC2154 # `run` sets stderr and stderr_lines
load common

# fails ERROR SIDE NUMBER ARGUMENT...: exit status 74, one line that names the
# descriptor and the side, records with the error.
fails() {
    local error=$1 side=$2 number=$3 got=0
    shift 3
    pump -s 109 "$@" 2>err 109>status || got=$?
    cat err >&2
    ((got == 74))
    (($(wc -l <err) == 1))
    [[ $(<err) == cuprum-pump:\ * ]]
    grep -qw -e "$number" err
    grep -qw -e "$side" err
    records status "hop[0].error == '$error'" "hop[0].side == '$side'" \
        'not hop[0].broken_pipe'
}

@test "/dev/full: what was read and not written is counted as discarded" {
    local engine
    echo data >in
    for engine in auto copy; do
        fails ENOSPC write 1 -e "$engine" <in >/dev/full
        fails ENOSPC write 100 -e "$engine" 0 100 <in 100>/dev/full
        # shellcheck disable=SC2002 # the input has to be a pipe
        fails ENOSPC write 1 -e "$engine" < <(exec cat in 3>&-) >/dev/full
        records status 'hop[0].read == 5' 'hop[0].written == 0' \
            'hop[0].discarded == 5'
    done
}

@test "a read error is an error, not an end of file" {
    fails EIO read 0 </proc/self/mem >out
    fails EIO read 100 100 1 100</proc/self/mem >out
    [[ ! -s out ]]
}

@test "the file size limit is an error, not a death by SIGXFSZ" {
    local engine
    sample 100000 >data
    for engine in $(engines); do
        rm -f out
        (
            # It holds for err and status as well: both are smaller.
            ulimit -f 8
            fails EFBIG write 1 -e "$engine" < <(exec cat data 3>&-) >out
        )
        records status 'hop[0].written == 8192'
        cmp out <(head -c 8192 data)
    done
}

@test "a failed hop leaves its writer with a broken pipe, not with a hang" {
    local statuses
    env --default-signal yes | pump >/dev/full 2>err ||
        statuses=("${PIPESTATUS[@]}")
    [[ ${statuses[*]} == '141 74' ]]
}

@test "a terminal that goes away is an error, not a broken pipe" {
    local got=0
    with_pairs --pty 100:101 <<'END' || got=$?
mkfifo in
exec 110<>in
"$PUMP" -s 102 0 100 <in 102>status 101>&- 110>&- 2>err &
exec 100>&-
echo data >in
head -n 1 <&101 >out  # it has been through, and now waits for more
exec 101>&-
wait $!
END
    ((got == 74))
    [[ $(<out) == data ]]
    [[ $(<err) == 'cuprum-pump: hop 0: descriptor 100 (write): '* ]]
    records status 'hop[0].error == "EIO"' 'hop[0].side == "write"' \
        'hop[0].written == 5' 'not hop[0].broken_pipe'
}

@test "with the records on standard error, a failure is told by them alone" {
    local got=0
    pump -s 2 <<<data >/dev/full 2>status || got=$?
    ((got == 74))
    records status 'hop[0].error == "ENOSPC"' 'end.error == "ENOSPC"'
}

@test "a splice that cannot be served fails the hop before a byte moves" {
    local fd
    echo untouched >in
    exec {fd}<in
    run -74 --separate-stderr pump -e splice -s 100 0 101 <&"$fd" \
        101>/dev/null 100>status
    ((${#stderr_lines[@]} == 1))
    [[ $(cat <&"$fd") == untouched ]]
    records status 'hop[0].errno != 0' 'hop[0].read == 0'
}

# bats test_tags=needs:set-user-id
@test "set-user-ID or set-group-ID, it refuses to run" {
    local copy=$BATS_TEST_TMPDIR/cuprum-pump group expected=77
    cp "$PUMP" "$copy"
    if ((EUID == 0)); then
        chown nobody "$copy"
        chmod 4755 "$copy"
    else
        # A user can give a file to any group of their own but the first.
        group=$(id -G | tr ' ' '\n' | grep -vx "$(id -g)" | head -n 1) || :
        [[ -n $group ]] || skip 'needs root or a second group of the user'
        chgrp "$group" "$copy"
        chmod 2755 "$copy"
    fi
    echo untouched >in
    [[ $(findmnt -no OPTIONS -T "$copy") != *nosuid* ]] ||
        skip 'the temporary directory is mounted nosuid'
    if grep -q __asan_init "$copy"; then
        # LeakSanitizer cannot look into such a process, and its complaint
        # about that takes the place of the exit status.
        expected=1
    fi
    run "-$expected" --separate-stderr env --default-signal "$copy" -s 100 \
        <in 100>status
    [[ -z $output ]]
    ((expected == 1 || ${#stderr_lines[@]} == 1))
    [[ ${stderr_lines[0]} == cuprum-pump:\ *set-user-ID* ]]
}
