#!/usr/bin/env bats
# System calls that fail: nothing is lost in silence, nothing hangs.
#
# CUPRUM_PUMP_FAULTY names a build with --enable-faults (helper/fault.h). The
# cases are tables in cases.py; each test prints how many faults were tried and
# how many were reached, and names the command that repeats a case gone wrong.

# shellcheck disable=SC2154 # run sets stderr
# shellcheck disable=SC2317 # bats calls the tests

export BATS_TEST_TIMEOUT=300
load ../helper/common

FAULT=$BATS_TEST_DIRNAME

setup_file() {
    [[ -n ${CUPRUM_PUMP_FAULTY-} ]] || {
        echo "CUPRUM_PUMP_FAULTY names no build with --enable-faults" >&2
        return 1
    }
}

# CALL, `draining`, `tapped`, or `sweep CALL`: every case of it.
try() {
    driver faults.py "$@"
}

# The same in a sample, by strace on the build under test.
try_injected() {
    local reason
    reason=$("$PYTHON" -s "$FAULT/injected.py" probe "$1" 3>&-)
    [[ -z $reason ]] || skip "strace cannot inject here: $reason"
    driver injected.py "$1"
}

driver() {
    local program=$1 status=0
    shift
    "$PYTHON" -s "$FAULT/$program" "$@" >summary 3>&- || status=$?
    sed 's/^/# /' summary >&3
    return "$status"
}

@test "the build with fault points has them" {
    CUPRUM_PUMP_FAULTS=read:EIO:1 CUPRUM_PUMP_FAULT_REPORT=2 run \
        --separate-stderr "$CUPRUM_PUMP_FAULTY" --no-sandbox -e copy <<<data
    ((status == 74))
    [[ $stderr == *"read:EIO:1 1"* ]]
}

@test "read fails" {
    try read
}

@test "write fails" {
    try write
}

@test "splice fails" {
    try splice
}

@test "poll fails" {
    try poll
}

@test "close fails" {
    try close
}

@test "fcntl fails" {
    try fcntl
}

@test "memory runs out" {
    try malloc
}

@test "recvmsg fails, in a process that serves jobs" {
    try recvmsg
}

@test "read fails while what nobody reads is discarded" {
    try draining
}

@test "a call fails where each hop has a tap" {
    try tapped
}

@test "a request to release a hop that cannot be read is none" {
    python_script <<'END'
from releases import *

for engine in harness.engines():
    talk = Talk(
        *("-e", engine),
        program=os.environ["CUPRUM_PUMP_FAULTY"],
        environment={"CUPRUM_PUMP_FAULTS": "read:EIO:1"},
    )
    with reaped(talk.pid) as ended:
        os.write(talk.status, b"0\n")
        talk.passes(b"goes on")
        os.close(talk.feeds[0])
        expect(not talk.finish().hops[0].released, talk.text)
        expect(wait(ended) == 0, talk.text)
END
}

@test "each call of a run fails once, from the first to the last" {
    local call failed=0
    for call in read write splice poll close fcntl malloc recvmsg; do
        try sweep "$call" || failed=1
    done
    return "$failed"
}

@test "strace: read fails" {
    try_injected read
}

@test "strace: write fails" {
    try_injected write
}

@test "strace: splice fails" {
    has_splice || return 0 # this build never calls it
    try_injected splice
}

@test "strace: poll fails" {
    try_injected poll
}

@test "strace: close fails" {
    try_injected close
}

@test "strace: fcntl fails" {
    try_injected fcntl
}
