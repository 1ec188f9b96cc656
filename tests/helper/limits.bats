#!/usr/bin/env bats
# A system that has too little of something for the pump itself: descriptors,
# room in a file. It says so, and has not begun, or tells that it has to stop.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, on purpose
load common

# bats test_tags=needs:few-descriptors
@test "without descriptors for itself it refuses to run" {
    # What is open when the limit is set stays open, whatever its number.
    echo untouched >in
    spawn prlimit --nofile=4 "$PUMP" 100 101 100<in 101>out 2>err
    expect_exit 71
    [[ $(<err) == 'cuprum-pump: Too many open files' ]]
    [[ ! -s out ]]
}

# bats test_tags=needs:few-descriptors
@test "without a descriptor for an operand's second use it moves nothing" {
    python_script <<'END'
from harness import PROGRAM
from jobs import *

# As an input again, and as an output.
for operands in ("3 4 3 5", "3 4 5 3"):
    shared = stored(b"untouched")
    reader, writer = pipe()
    status, status_end = pipe()
    errors, errors_end = pipe()
    numbers = {0: null(), 1: null(), 2: errors_end, 3: shared, 4: writer, 5: null(),
               6: status_end}
    # Two more, which it has for itself, and that is all.
    command = ["--nofile=9", PROGRAM, "-s", "6", *operands.split()]
    pid = spawn(command, numbers, program="prlimit")
    for fd in (writer, status_end, errors_end):
        os.close(fd)
    with reaped(pid) as ended:
        expect(wait(ended) == 71, wait(ended, 0))
    expect(take(errors) == b"cuprum-pump: descriptor 3 (duplicate): "
           b"Too many open files\n", "standard error")
    job = Job(status).finish()
    expect(job.is_refusal and job.end.error == "EMFILE", job.text)
    expect(take(reader) == b"" and take(shared) == b"untouched", "bytes have moved")
END
}

@test "a status file that may not grow ends it with 75, and without an end" {
    make_pipe in
    spawn prlimit --fsize=1000 "$PUMP" -s 100 -p 0.01 <&"${R[in]}" \
        100>status 2>err
    expect_exit 75
    [[ $(<err) == 'cuprum-pump: descriptor 100 (status): File too large' ]]
    (($(stat -c %s status) == 1000))
    records_so_far status 'len(progress) > 0'
}

@test "a process that serves jobs and cannot wait for more exits with 71" {
    python_script <<'END'
import resource

from jobs import *

# A leak sanitizer would look for descriptors of its own at the end.
with Server(environment={"ASAN_OPTIONS": "detect_leaks=0"}) as server:
    server.works()
    # Fewer than it has to wait for: EINVAL, poll(2).
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (1, 4096))
    server.send(b"", [])
    server.exits(71)
    errors = os.read(server.stderr, 4096).decode()
    expect("descriptor 3 (control): Invalid argument" in errors, errors)
END
}
