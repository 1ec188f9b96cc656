#!/usr/bin/env bats
# --progress without --status-fd: one line that stays alive, at a terminal.

load common

# A bash script (standard input) with a terminal as standard error; what the
# terminal was sent is in the file `screen`, each drawing of the line a line.
at_terminal() {
    local script
    need_terminal
    script=$(cat)
    timeout -k 1 20 "$PYTHON" -I "$LIB/fd.py" pty 2 -- \
        bash -eu -o pipefail -c "$script" 3>&- >screen.raw
    tr '\r' '\n' <screen.raw >screen
}

# How often the line was drawn with $1 (an extended regular expression) in it.
drawn() {
    grep -Ec -e "$1" screen || :
}

LINE='^[0-9.]+ ?[KMG]?i?B  [0-9.]+ ?[KMG]?i?B/s  0:00:0[0-9]'

@test "the line shows bytes, rate and time" {
    at_terminal <<'END'
{ head -c 3145728 /dev/zero; sleep 0.35; } | "$PUMP" -p 0.1 | cat >out
END
    (($(stat -c %s out) == 3145728))
    (($(drawn "$LINE") >= 3))
    (($(drawn '^3(\.0)? MiB  ') >= 2))
    (($(drawn '  0:00:00') >= 3))
}

@test "each drawing replaces the one before, and the last ends the line" {
    at_terminal <<'END'
{ printf 12345; sleep 0.35; } | "$PUMP" -p 0.1 | cat >out
END
    # To the first column, the text, clear the rest; one newline, at the end.
    (($(wc -l <screen.raw) == 1))
    [[ $(tail -c 1 screen.raw | od -An -c) == *'\n'* ]]
    [[ $(head -c 1 screen.raw | od -An -c) == *'\r'* ]]
    (($(tr -d '\n' <screen.raw | tr '\r' '\n' | grep -c $'\e\\[K$') >= 3))
    # No line is wider than the narrowest usual terminal.
    run ! grep -E '.{84}' screen
}

@test "a transfer that is over before the first interval has one line" {
    at_terminal <<'END'
printf 12345 | "$PUMP" -p 10 | cat >out
END
    (($(drawn "$LINE") == 1))
    (($(drawn '^5(\.0)? B  ') == 1))
    (($(wc -l <screen.raw) == 1))
}

@test "it stays alive while stalled, and says that the input is waited for" {
    at_terminal <<'END'
{ printf 12345; sleep 2.7; } | "$PUMP" -p 0.2 | cat >out
END
    (($(drawn '^5(\.0)? B  0 B/s .* waiting for input$') +
        $(drawn '^5(\.0)? B  0 B/s .* waiting for input.*\[K$') >= 2))
    (($(drawn 'waiting for input  ?1 s|waiting for input 1 s') >= 3))
    (($(drawn 'waiting for input 2 s') >= 1))
    (($(drawn 'waiting for output') == 0))
    (($(drawn '  0:00:02') >= 1))
}

@test "it says that the output is waited for" {
    at_terminal <<'END'
head -c 1000000 /dev/zero | "$PUMP" -p 0.2 | { sleep 1.5; cat >out; }
END
    (($(drawn 'waiting for output') >= 4))
    (($(drawn 'waiting for output 1 s') >= 1))
    (($(drawn 'waiting for input 1 s') == 0))
    [[ $(tail -n 1 screen) != *waiting* ]]
}

@test "it says that it discards what nobody reads" {
    at_terminal <<'END'
{ head -c 100000 /dev/zero; sleep 0.5; } | "$PUMP" -d forever -p 0.1 | true
END
    (($(drawn 'discarding') >= 2))
}

@test "all hops together have one line" {
    at_terminal <<'END'
head -c 1048576 /dev/zero >data
{ cat data; sleep 0.35; } |
    "$PUMP" -p 0.1 0 1 100 101 102 103 100<data 101>two 102<data 103>three |
    cat >out
END
    (($(drawn '^3(\.0)? MiB  ') >= 2))
    (($(wc -l <screen.raw) == 1))
}

@test "the rate of the last line is that of the whole run" {
    at_terminal <<'END'
{ head -c 4194304 /dev/zero; sleep 1; } | "$PUMP" -p 0.2 | cat >out
END
    # 4 MiB in a little more than a second; the last interval had none.
    [[ $(sed -n '/./p' screen | tail -n 1) =~ ^4(\.0)?\ MiB\ \ [234]\.[0-9]\ MiB/s ]]
}

@test "where standard error is no terminal it is a usage error" {
    local form
    for form in -p1 --progress=1; do
        run --separate-stderr pump "$form" </dev/null
        ((status == 64))
        [[ ${#stderr_lines[@]} == 1 ]]
        [[ $stderr == "cuprum-pump: "*--progress*--status-fd*terminal* ]]
    done
}

@test "with --status-fd a terminal gets no line, but the descriptor its records" {
    at_terminal <<'END'
{ printf 12345; sleep 0.3; } | "$PUMP" -p 0.1 -s 100 100>status | cat >out
END
    [[ ! -s screen.raw ]]
    records status 'len(progress) >= 2'
}

@test "a message about a failure comes after the line, not within it" {
    at_terminal <<'END'
{ printf 12345; sleep 0.25; } | "$PUMP" -p 0.1 >/dev/full || (($? == 74))
END
    grep -q '^cuprum-pump: hop 0: ' screen
    (($(drawn '[0-9] ?B.*cuprum-pump') == 0))
}

@test "a signal leaves the terminal with the line ended" {
    at_terminal <<'END'
mkfifo in
exec 100<>in
env --default-signal "$PUMP" -p 0.05 <in >out &
sleep 0.4
kill -INT $!
wait $! || (($? == 130))
END
    (($(drawn "$LINE") >= 3))
    [[ $(tail -c 1 screen.raw | od -An -c) == *'\n'* ]]
}

# --- a terminal that takes nothing --------------------------------------------

@test "a terminal whose output is stopped does not stop the hops" {
    # shellcheck disable=SC2016 # for the inner shell
    with_pairs --pty 100:101 <<'END'
"$PYTHON" -I "$LIB/fd.py" stop 100
for engine in copy auto; do
    { head -c 3000000 /dev/zero; sleep 0.3; } |
        timeout 10 "$PUMP" -e "$engine" -p 0.01 2>&100 | wc -c >count
    (($(<count) == 3000000))
done
END
}

@test "a terminal that nobody looks at does not stop the hops" {
    with_pairs --pty 100:101 <<'END'
# Some thousand lines of which none is taken away: more than it can hold.
for ((i = 0; i < 250; i++)); do
    head -c 1000 /dev/zero
    sleep 0.01
done | timeout 15 "$PUMP" -p 0.001 2>&100 | wc -c >count
(($(<count) == 250000))
END
}

@test "a terminal that goes away does not stop the hops" {
    with_pairs --pty 100:101 <<'END'
mkfifo in
timeout 10 "$PUMP" -p 0.02 <in 2>&100 101>&- | wc -c >count 101>&- &
exec 100>&- 110>in
head -c 1000 /dev/zero >&110
head -c 1 <&101 >drawn # and the next ones find no terminal
exec 101>&-
sleep 0.1
head -c 2000000 /dev/zero >&110
exec 110>&-
wait $!
(($(<count) == 2001000))
END
}
