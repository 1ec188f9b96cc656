#!/usr/bin/env bats
# Death by a signal is reported before it happens; ignored signals stay so.

# shellcheck disable=SC2030,SC2031 # each test is a subshell, on purpose
load common

# A hop between two pipes; five bytes have gone through it.
start_idle() {
    make_pipe in
    make_pipe out
    start_pump -s 100 "$@" <&"${R[in]}" >&"${W[out]}" 100>status
    printf 12345 >&"${W[in]}"
    eventually queued_is "${R[out]}" 5
}

close_all() {
    close_reader in
    close_writer in
    close_reader out
    close_writer out
}

@test "TERM, HUP, INT and QUIT end it by that signal, after its records" {
    local engine signal
    for engine in $(engines); do
        for signal in HUP INT QUIT TERM; do
            start_idle -e "$engine"
            kill -"$signal" "$PID"
            expect_exit $((128 + $(kill -l "$signal")))
            records status 'hop[0].read == 5' 'hop[0].written == 5' \
                'end.error == "EINTR"'
            close_all
        done
    done
}

@test "every hop that was alive has its record, and none has two" {
    make_pipe in
    make_pipe out
    start_pump -s 100 0 1 101 102 103 104 100>status 102>two 104>three \
        <&"${R[in]}" >&"${W[out]}" 101</dev/null 103<&"${R[in]}"
    eventually records_so_far status 'hop[0].hop == 1'
    kill -TERM "$PID"
    expect_exit 143
    records status 'len(hop) == 3' 'hop[1].errno == 0' 'end.error == "EINTR"'
}

@test "killed while blocked on its output, it accounts for every byte" {
    local engine producer pumping
    for engine in $(engines); do
        make_pipe in
        make_pipe out
        start_pump -e "$engine" -b 7000 -s 100 -p 0.02 <&"${R[in]}" \
            >&"${W[out]}" 100>status
        pumping=$PID
        spawn yes >&"${W[in]}"
        producer=$PID
        close_reader in
        close_writer in
        close_writer out
        eventually records_so_far status 'progress[-1].waiting == "output"' \
            'progress[-1].written == progress[-2].written'
        kill -TERM "$pumping"
        expect_exit 143 "$pumping"
        expect_exit 141 "$producer"
        cat <&"${R[out]}" >out
        records status "hop[0].written == $(stat -c %s out)" \
            'end.error == "EINTR"'
        close_reader out
    done
}

@test "a signal that comes twice costs no record" {
    # timeout(1) signals its child, and then the group that the child is in.
    # Many hops make it likely that the second one comes amid the records.
    local i to status operands=()
    make_pipe in
    for ((i = 0; i < 100; i++)); do
        exec {to}>/dev/null
        operands+=("${R[in]}" "$to")
    done
    for i in {1..10}; do
        exec {status}>"status.$i"
        env --default-signal "$PUMP" -s "$status" "${operands[@]}" 3>&- &
        PID=$!
        SPAWNED+=("$PID")
        eventually test -s "status.$i"
        kill -TERM "$PID"
        kill -TERM "$PID" || :
        expect_exit 143
        records "status.$i" 'end.error == "EINTR"'
    done
}

@test "killed during a drain, it says so" {
    local engine=copy
    start_idle -d forever
    close_reader out
    head -c 100000 /dev/zero >&"${W[in]}"
    eventually queued_is "${R[in]}" 0
    kill -TERM "$PID"
    expect_exit 143
    records status 'hop[0].broken_pipe' 'hop[0].read == 100005' \
        'end.error == "EINTR"'
}

@test "--ignore-interrupts ignores INT and QUIT, but not TERM" {
    local form
    for form in -i --ignore-interrupts; do
        start_idle "$form"
        kill -INT "$PID"
        kill -QUIT "$PID"
        printf 678 >&"${W[in]}"
        eventually queued_is "${R[out]}" 8
        kill -TERM "$PID"
        expect_exit 143
        records status 'hop[0].written == 8' 'end.error == "EINTR"'
        close_all
    done
}

@test "PIPE never ends it" {
    start_idle
    kill -PIPE "$PID"
    printf 678 >&"${W[in]}"
    eventually queued_is "${R[out]}" 8
    close_writer in
    expect_exit 0
    records status 'hop[0].written == 8' 'end.errno == 0'
}

@test "a signal that was ignored at the start stays ignored" {
    make_pipe in
    make_pipe out
    spawn env --ignore-signal=HUP "$PUMP" -s 100 100>status \
        <&"${R[in]}" >&"${W[out]}"
    printf 12345 >&"${W[in]}"
    eventually queued_is "${R[out]}" 5
    kill -HUP "$PID"
    printf 678 >&"${W[in]}"
    eventually queued_is "${R[out]}" 8
    close_writer in
    expect_exit 0
    records status 'hop[0].written == 8'
}

@test "a signal that was blocked at the start does not upset it" {
    make_pipe in
    make_pipe out
    spawn env --block-signal=TERM,CHLD,USR1,PIPE "$PUMP" -s 100 100>status \
        <&"${R[in]}" >&"${W[out]}"
    printf 12345 >&"${W[in]}"
    eventually queued_is "${R[out]}" 5
    close_writer in
    expect_exit 0
    records status 'hop[0].written == 5'
}

@test "without a status descriptor it dies by the signal as well" {
    make_pipe in
    start_pump <&"${R[in]}" >out 2>err
    eventually grep -q '^State:[[:space:]]*S' "/proc/$PID/status"
    kill -TERM "$PID"
    expect_exit 143
}

# --- at any moment ------------------------------------------------------------

# bats test_tags=needs:pace
@test "TERM, HUP, INT and QUIT at any moment leave complete and right records" {
    python_script >figures <<'END'
import itertools
import random
import signal

from harness import Pump, engines, expect, sample

ROUNDS = 50
chosen = random.Random()
seed = chosen.randrange(1 << 32)
chosen.seed(seed)
print(f"random moments from seed {seed}")
ending = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
sources = [sample(3_000_000, hop) for hop in range(3)]
hit = dict.fromkeys(engines(), 0)
for number, engine in itertools.product(range(ROUNDS), engines()):
    which = ending[number % 4]
    count = 1 + number % 3
    # From before it has begun to well into the transfer; the readers are slow.
    moment = chosen.uniform(0.0, 0.04) * count
    pump = Pump(["-e", engine, "-b", str(chosen.randrange(1000, 70000))], count)
    sent = False

    def send(passed):
        global sent
        if not sent and passed >= moment:
            sent = True
            pump.send(which)

    outcome = pump.run(sources[:count], slow=True, limit=10, meanwhile=send)
    what = (seed, number, engine, moment, outcome)
    outcome.check_prefix(sources[:count])
    if not outcome.text:
        # Before it had taken over the signals it was as any program.
        expect(outcome.status == -which and not any(outcome.sinks), what)
        continue
    outcome.check_complete()
    if outcome.status == 0:
        expect(outcome.sinks == sources[:count], what)
        continue
    expect(outcome.status == -which, what)
    expect(outcome.end.error == "EINTR", what)
    for hop, sink, source in zip(outcome.hops, outcome.sinks, sources):
        expect(hop.errno == 0 or hop.error == "EINTR", what)
        # The last bytes may have gone through, and the end not been seen yet.
        expect(hop.errno != 0 or sink == source, what)
    hit[engine] += 1
for engine, count in hit.items():
    print(f"{engine}: {count} of {ROUNDS} signals came amid the hops")
    expect(count >= ROUNDS // 2, "most came too early or too late to tell anything")
END
    sed 's/^/# /' figures >&3
}

@test "stopped and continued at any moment, it loses nothing" {
    python_script <<'END'
import random
import signal

from harness import Pump, engines, expect, sample

sources = [sample(3_000_000, hop) for hop in range(2)]
for engine in engines():
    for _ in range(4):
        pump = Pump(["-e", engine, "-p", "0.005"], 2)
        turns = 0

        def stop_or_go(passed):
            global turns
            if turns < 40 and passed > turns * 0.004:
                pump.send(signal.SIGCONT if turns % 2 else signal.SIGSTOP)
                turns += 1

        outcome = pump.run(sources, slow=True, limit=10, meanwhile=stop_or_go)
        outcome.check_complete()
        expect(outcome.status == 0 and turns >= 20, (turns, outcome))
        expect(outcome.sinks == sources, outcome)
END
}

@test "PIPE at any moment, a hundred times, never ends it" {
    python_script <<'END'
import signal

from harness import Pump, engines, expect, sample

source = sample(3_000_000)
for engine in engines():
    pump = Pump(["-e", engine])
    sent = 0

    def send(_):
        global sent
        # Only then does it ignore it: until then it is as any program.
        started = b"" if sent else open(f"/proc/{pump.pid}/status", "rb").read()
        ignored = sent or int(started.split(b"SigIgn:")[1].split()[0], 16) & 1 << 12
        if ignored and sent < 100:
            pump.send(signal.SIGPIPE)
            sent += 1

    outcome = pump.run([source], slow=True, limit=10, meanwhile=send)
    outcome.check_complete()
    expect(outcome.status == 0 and sent == 100, (sent, outcome))
    expect(outcome.sinks == [source], outcome)
END
}
