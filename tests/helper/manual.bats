#!/usr/bin/env bats
# What the manual pages show as examples does what they say. The commands are
# taken from the pages: a changed page is a changed test.

load common

MAN=$BATS_TEST_DIRNAME/../../man

# The lines of EXAMPLES of page $1.
examples() {
    sed -n '/^\.Sh EXAMPLES/,/^\.Sh [^E]/p' "$MAN/$1"
}

# The commands of cuprum-pump(1), a line each.
commands() {
    examples cuprum-pump.1 | sed -n 's/^\.Dl \$ //p'
}

# Put the number-th of them into `example.sh`, to be run by in_shell.
example() {
    commands | sed -n "$1p" >example.sh
    [[ -s example.sh ]]
}

# Run the file `example.sh`, by a program with its arguments if there are any, in
# a shell that has the pump on its PATH.
in_shell() {
    mkdir -p bin
    ln -sf "$PUMP" bin/cuprum-pump
    PATH=$PWD/bin:$PATH timeout -k 1 20 env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS \
        --default-signal "$@" bash -o pipefail example.sh 3>&-
}

# A log, and what the examples make of it.
make_log() {
    seq 300000 | rev >log
    gzip -k log
    sort log >expected
}

@test "cuprum-pump(1) has as many examples as are tested here" {
    (($(commands | wc -l) == 5))
    (($(examples cuprum-pump.1 | grep -Ec '^\.(Dl|Bd|Ql)') == 5))
}

@test "example 1: the line at the terminal says which side is the slow one" {
    need_terminal
    make_log
    example 1
    in_shell "$PYTHON" -I "$LIB/fd.py" pty 2 -- >screen
    cmp sorted expected
    tr '\r' '\n' <screen | grep -Eq '^1\.[0-9] MiB  .*/s  0:00:0'
}

@test "example 2: the same as figures" {
    make_log
    example 2
    in_shell 2>figures
    cmp sorted expected
    records figures "hop[0].written == $(stat -c %s log)"
}

@test "example 3: a relay between two sockets" {
    example 3
    export -f in_shell
    with_pairs 5:105 6:106 <<'END'
in_shell 105>&- 106>&- &
exec 5>&- 6>&-
printf question >&105
"$PYTHON" -I "$LIB/fd.py" shutdown 105
[[ $(cat <&106) == question ]]
printf answer >&106
"$PYTHON" -I "$LIB/fd.py" shutdown 106
[[ $(cat <&105) == answer ]]
wait $!
END
}

@test "example 4: the producer comes to its end after the reader has left" {
    printf 'all:\n\t@seq 300000\n\t@echo last >made\n' >Makefile
    example 4
    in_shell >out
    cmp out <(seq 10)
    [[ $(<made) == last ]]
}

@test "example 5: what crosses a pipe is kept" {
    make_log
    example 5
    in_shell
    cmp sorted expected
    cmp copy log
}

# --- cuprum-pump-protocol(7) --------------------------------------------------

@test "the records are those that cuprum-pump-protocol(7) shows" {
    examples cuprum-pump-protocol.7 >shown
    sed -n 's/^\.Ql //p' shown >example.sh
    (($(wc -l <example.sh) == 1))
    in_shell 2>written >out
    [[ $(<out) == hello ]]
    # A record that was broken to fit the page goes on after a blank.
    sed -n '/^\.Bd/,/^\.Ed/{/^\./d;p}' shown |
        sed -e ':a' -e 'N' -e 's/\n / /' -e 'ta' -e 'P' -e 'D' >records
    records written 'hop[0].read == 5'
    python_script <<'END'
import json

from harness import expect

DIFFER = {"pid", "sandbox", "engine", "wait_input_ns", "wait_output_ns", "elapsed_ns"}


def load(name):
    """Members in their order; of those that differ from run to run, the type."""
    with open(name) as lines:
        return [
            [(key, type(value) if key in DIFFER else value) for key, value in pairs]
            for pairs in (json.loads(line, object_pairs_hook=list) for line in lines)
        ]


shown, written = load("records"), load("written")
expect(len(shown) == 3, shown)
for one, other in zip(shown, written, strict=True):
    expect(one == other, f"shown\n{one}\nwritten\n{other}")
END
}
