# Loaded by every suite in this directory: finding the binary, running it in
# the foreground and in the background, pipes, deadlines and clean-up.
#
# Descriptors: bats owns 3, the shell hands out 10 to 99 by itself, so the
# tests give the pump 0, 1, 2 and numbers from 100 up.

bats_require_minimum_version 1.5.0

LIB=${BASH_SOURCE[0]%/*}/lib
PUMP=${CUPRUM_PUMP:-$BATS_TEST_DIRNAME/../../build/helper/cuprum-pump}
PYTHON=${PYTHON:-/usr/bin/python3}
BATS_TEST_TIMEOUT=${BATS_TEST_TIMEOUT:-30}
export LIB PUMP PYTHON BATS_TEST_TIMEOUT

# Descriptors of the pipes that make_pipe made: R[name] and W[name].
declare -gA R=() W=()
# Background processes of this test, to be gone when it ends.
declare -ga SPAWNED=()

setup() {
    if [[ ! -x $PUMP ]]; then
        echo "no executable at $PUMP: build first, or set CUPRUM_PUMP" >&2
        return 1
    fi
    cd "$BATS_TEST_TMPDIR" || return 1
    ulimit -c 0
    # A pipeline fails when the pump in its middle does.
    set -o pipefail
}

teardown() {
    local pid left=0
    for pid in "${SPAWNED[@]}"; do
        if kill -KILL "$pid" 2>/dev/null; then
            echo "the test left process $pid" >&2
            wait "$pid" || :
            left=1
        fi
    done
    return "$left"
}

# --- running ----------------------------------------------------------------

# The pump in the foreground, with a time limit. Signals are at their default
# whatever bats itself was started with.
pump() {
    timeout -k 1 20 env --default-signal "$PUMP" "$@" 3>&-
}

# Run a command in the background, with descriptors 0, 1, 2 and those from 100
# up alone; its process id is in PID. (An asynchronous command of a shell
# without job control ignores INT and QUIT and reads /dev/null: hence env and
# the redirection.)
spawn() {
    (
        close_shell_descriptors
        exec env --default-signal "$@"
    ) <&0 &
    PID=$!
    SPAWNED+=("$PID")
}

start_pump() {
    spawn "$PUMP" "$@"
}

close_shell_descriptors() {
    local path fd
    for path in /proc/self/fd/*; do
        fd=${path##*/}
        if ((fd > 2 && fd < 100)); then
            exec {fd}>&-
        fi
    done
}

# Wait for a spawned process, by default the last one; its status is in STATUS.
reap() {
    local pid=${1:-$PID} other rest=()
    STATUS=0
    wait "$pid" || STATUS=$?
    for other in "${SPAWNED[@]}"; do
        [[ $other == "$pid" ]] || rest+=("$other")
    done
    SPAWNED=("${rest[@]}")
}

# reap, and fail unless the status is $1.
expect_exit() {
    reap "${2:-$PID}"
    if [[ $STATUS != "$1" ]]; then
        echo "exit status $STATUS, expected $1" >&2
        return 1
    fi
}

is_running() {
    local state
    state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" \
        2>/dev/null) && [[ -n $state && $state != Z ]]
}

is_stopped() {
    grep -q '^State:[[:space:]]*T' "/proc/$1/status"
}

is_gone() {
    ! is_running "$1"
}

# Run a bash script (standard input) that has pairs of stream sockets, or what
# else an option to fd.py names, at these numbers: with_pairs 100:101 <<'END'.
with_pairs() {
    local script
    [[ $1 != --pty ]] || need_terminal
    script=$(cat)
    timeout -k 1 20 "$PYTHON" -I "$LIB/fd.py" pairs "$@" -- \
        bash -eu -o pipefail -c "$script" 3>&-
}

# Skip the test where a terminal cannot be had, as without /dev/pts.
need_terminal() {
    local why
    why=$("$PYTHON" -I -c 'import os; os.openpty()' 2>&1 3>&-) ||
        skip "this machine gives no pseudo-terminal: ${why##*$'\n'}"
}

fd_tool() {
    "$PYTHON" -I "$LIB/fd.py" "$@" 3>&-
}

# Run a Python script (standard input) that may import the modules in lib.
python_script() {
    cat >script.py
    PYTHONPATH=$LIB timeout -k 1 25 "$PYTHON" -s script.py "$@" 3>&-
}

# --- pipes ------------------------------------------------------------------

# An endless writer that is meant to end by a broken pipe.
endless() {
    env --default-signal yes 3>&- || (($? == 141))
}

# A pipe whose ends are R[$1] and W[$1] of this shell.
make_pipe() {
    local path=$BATS_TEST_TMPDIR/pipe.$1 both reader writer
    mkfifo "$path"
    exec {both}<>"$path"
    # shellcheck disable=SC2094 # two ends of one fifo, on purpose
    exec {reader}<"$path" {writer}>"$path"
    exec {both}>&-
    rm "$path"
    R[$1]=$reader
    W[$1]=$writer
}

close_reader() {
    local fd=${R[$1]}
    exec {fd}<&-
}

close_writer() {
    local fd=${W[$1]}
    exec {fd}>&-
}

pipe_size() {
    fd_tool pipe-size "$1"
}

pipe_size_is() {
    [[ $(pipe_size "$1") == "$2" ]]
}

# Whether descriptor $1 of this shell has O_NONBLOCK.
is_nonblocking() {
    local key value
    while read -r key value; do
        if [[ $key == flags: ]]; then
            (((8#$value & 8#4000) != 0))
            return
        fi
    done <"/proc/$BASHPID/fdinfo/$1"
    return 2
}

# Bytes that wait in the pipe at descriptor $1.
queued() {
    fd_tool queued "$1"
}

queued_is() {
    [[ $(queued "$1") == "$2" ]]
}

holds_bytes() {
    (($(queued "$1") > 0))
}

# --- time -------------------------------------------------------------------

now_ms() {
    local us=${EPOCHREALTIME/[.,]/}
    echo "$((us / 1000))"
}

# Poll until a command succeeds, for ten seconds at most.
eventually() {
    local deadline=$((SECONDS + 10))
    until "$@"; do
        if ((SECONDS >= deadline)); then
            echo "not within ten seconds: $*" >&2
            return 1
        fi
        sleep 0.02
    done
}

# Fail unless $1 <= $2 < $3.
within() {
    if (($2 < $1 || $2 >= $3)); then
        echo "$2 is not from $1 to below $3" >&2
        return 1
    fi
}

# --- what the pump says -----------------------------------------------------

# Check a complete stream of status records, and Python expressions over
# start, progress (a list), hop (a list) and end.
records() {
    "$PYTHON" -I "$LIB/records.py" "$@" 3>&-
}

# The same while the pump runs: quiet, what is there so far.
records_so_far() {
    "$PYTHON" -I "$LIB/records.py" --so-far "$@" 3>&- 2>/dev/null
}

has_splice() {
    [[ $("$PUMP" --version 3>&-) == *+splice* ]]
}

# The engines of this build.
engines() {
    echo copy
    if has_splice; then
        echo splice
    fi
}

# The engine that `auto` takes between two pipes.
pipe_engine() {
    if has_splice; then
        echo splice
    else
        echo copy
    fi
}

# --- data -------------------------------------------------------------------

# $1 bytes that no misplaced or repeated block would leave unchanged.
sample() {
    fd_tool sample "$1"
}
