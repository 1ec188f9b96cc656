#!/usr/bin/env bats
# What the pump gives up at the start, seen from outside.

load common

has_seccomp() {
    [[ $("$PUMP" --version 3>&-) == *+seccomp* ]]
}

# What the start record says in this build.
sandbox_kind() {
    if has_seccomp; then
        echo seccomp
    else
        echo none
    fi
}

# A pump that waits for input, past its start.
start_waiting() {
    make_pipe in
    start_pump -s 100 "$@" <&"${R[in]}" >out 100>status 2>err
    eventually test -s status
}

finish() {
    close_writer in
    expect_exit 0
    records status "$@"
    close_reader in
}

# The descriptors that it has open and names or inherits, without its own.
open_descriptors() {
    local path fd own
    own=$(readlink "/proc/$PID/fd/"* | sort | uniq -d | grep ^pipe: || :)
    for path in "/proc/$PID/fd/"*; do
        fd=${path##*/}
        if [[ -z $own || $(readlink "$path") != "$own" ]]; then
            echo "$fd"
        fi
    done | sort -n | tr '\n' ' '
}

process_status() {
    sed -n "s/^$1:[[:space:]]*//p" "/proc/$PID/status"
}

core_limit() {
    sed -n 's/^Max core file size *\([^ ]*\) *\([^ ]*\).*/\1 \2/p' \
        "/proc/$PID/limits"
}

# --- descriptors, rights, core dumps ------------------------------------------

@test "descriptors that nobody named are closed" {
    # Between the named ones, below and above them.
    make_pipe in
    make_pipe out
    start_pump -s 110 0 1 104 106 <&"${R[in]}" >out 2>err \
        101</dev/null 103<&"${R[out]}" 104<&"${R[in]}" 105>&"${W[out]}" \
        106>two 107<&"${R[in]}" 110>status 111>&"${W[out]}" 200</dev/null \
        250>extra
    eventually test -s status
    [[ $(open_descriptors) == "0 1 2 104 106 110 " ]]
    finish 'end.errno == 0'
}

@test "a pipe is at its end although the pump was started with a copy of it" {
    make_pipe in
    make_pipe other
    start_pump -s 100 <&"${R[in]}" >out 2>err 100>status 150>&"${W[other]}"
    close_writer other
    eventually test -s status
    [[ -z $(timeout 5 cat <&"${R[other]}") ]]
    finish 'end.errno == 0'
}

@test "--no-sandbox leaves unnamed descriptors open" {
    make_pipe in
    start_pump --no-sandbox -s 104 <&"${R[in]}" >out 2>err 101</dev/null \
        104>status 200</dev/null
    eventually test -s status
    # A shell may have left it more than these.
    [[ $(open_descriptors) == "0 1 2 101 104 200 "* ]]
    finish 'end.errno == 0'
}

@test "it can gain no rights by exec, and dumps no core" {
    ulimit -Sc hard
    start_waiting
    [[ $(process_status NoNewPrivs) == 1 ]]
    [[ $(core_limit) == "0 0" ]]
    finish 'end.errno == 0'
}

@test "with --no-sandbox it keeps rights, limits and system calls" {
    local limit
    limit=$(sed -n 's/^Max core file size *\([^ ]*\) *\([^ ]*\).*/\1 \2/p' \
        /proc/self/limits)
    start_waiting --no-sandbox
    [[ $(process_status NoNewPrivs) == 0 ]]
    [[ $(process_status Seccomp) == 0 ]]
    [[ $(core_limit) == "$limit" ]]
    finish 'start.sandbox == "none"'
}

# --- the filter ---------------------------------------------------------------

# bats test_tags=needs:seccomp
@test "the filter is on where the build has it, and start says so" {
    start_waiting
    if has_seccomp; then
        [[ $(process_status Seccomp) == 2 ]]
    else
        [[ $(process_status Seccomp) == 0 ]]
    fi
    finish "start.sandbox == '$(sandbox_kind)'"
}

# bats test_tags=needs:seccomp
@test "the filter is on for jobs as well" {
    python_script "$(sandbox_kind)" <<'END'
import sys

from jobs import *

for options, kind in (((), sys.argv[1]), (("--no-sandbox",), "none")):
    with Server(*options) as server:
        for _ in range(2):
            job = server.run(hops=[null(), null()])
            expect(job.records[0].sandbox == kind, job.text)
        server.stop()
END
}

# bats test_tags=needs:seccomp
@test "everything that a hop does passes the filter" {
    # Sockets, files, a shared output, sizes, progress, a drain.
    sample 3000000 >data
    pump -z 128K -e copy -s 100 <data 100>status >out
    cmp data out
    pump -p 0.001 -s 100 <data 100>status | cat >out
    cmp data out
    # shellcheck disable=SC2094
    pump -s 100 0 1 0 101 100>status <data >out 101>>out
    { head -c 100000 data; sleep 0.1; } | pump -s 100 100>status | true
    records status 'hop[0].broken_pipe' "start.sandbox == '$(sandbox_kind)'"
    with_pairs 101:102 <<'END'
"$PUMP" -s 100 101 1 0 101 100>status <data >out &
head -c 3000000 <&102 | cmp data -
"$PYTHON" -I "$LIB/fd.py" shutdown 102
wait $!
END
    records status 'end.errno == 0'
    # Memory of every size that a buffer may have.
    local size
    head -c 100000 data >few
    for size in 1 4K 100K 1M 100M; do
        pump -e copy -b "$size" -s 100 <few >out 100>status
        cmp few out
    done
}

# bats test_tags=needs:seccomp
@test "what a hop does with a terminal passes the filter" {
    need_terminal
    sample 300000 >data
    fd_tool pty 1 -- "$PUMP" -s 100 <data 100>status | cmp data -
    records status "start.sandbox == '$(sandbox_kind)'" 'end.errno == 0'
}

@test "where the kernel refuses a filter, it goes on and says so" {
    # A filter around it that refuses filters, as in some containers.
    python_script <<'END'
import ctypes
import errno
import os
import struct
import subprocess
import sys

import harness

# Classic BPF (seccomp(2), linux/filter.h): the calls that set a filter fail,
# whichever of the kernel's machines (linux/audit.h) the pump is built for.
SECCOMP = {0xC000003E: 317, 0x40000003: 354, 0xC00000B7: 277}  # x86-64, 386, ARM
NUMBER, MACHINE = 0, 4
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, FAIL = 0x7FFF0000, 0x00050000

def refuse_filters(error):
    code = [(LOAD, 0, 0, MACHINE)]
    for machine, call in SECCOMP.items():
        code += [(EQUAL, 0, 4, machine), (LOAD, 0, 0, NUMBER), (EQUAL, 0, 1, call),
                 (RETURN, 0, 0, FAIL | error), (RETURN, 0, 0, ALLOW)]
    code.append((RETURN, 0, 0, ALLOW))
    program = b"".join(struct.pack("HBBI", *line) for line in code)
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(program)
    head = struct.pack("HxxxxxxP" if sys.maxsize > 1 << 32 else "HxxP",
                       len(code), ctypes.addressof(buffer))
    PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2
    for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, FILTER, head)):
        if libc.prctl(*call) == -1:
            raise OSError(ctypes.get_errno(), "prctl")

for error in (errno.EINVAL, errno.EPERM, errno.ENOSYS):
    status, writer = os.pipe()
    result = subprocess.run([harness.PROGRAM, "-s", str(writer)], input=b"data",
                            capture_output=True, pass_fds=[writer],
                            preexec_fn=lambda: refuse_filters(error))
    os.close(writer)
    text = os.read(status, 65536).decode()
    os.close(status)
    harness.expect(result.returncode == 0, (result, text))
    harness.expect(result.stdout == b"data" and result.stderr == b"", result)
    harness.expect('"sandbox":"none"' in text, text)
    harness.expect('"end","errno":0' in text, text)
END
}

# bats test_tags=needs:seccomp
@test "what start says of the filter is true, and the rest is shed all the same" {
    start_waiting
    [[ $(process_status NoNewPrivs) == 1 ]]
    if has_seccomp; then
        [[ $(process_status Seccomp) == 2 ]]
        finish 'start.sandbox == "seccomp"'
    else
        [[ $(process_status Seccomp) == 0 ]]
        finish 'start.sandbox == "none"'
    fi
}
