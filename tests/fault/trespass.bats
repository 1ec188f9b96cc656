#!/usr/bin/env bats
# A pump that tries what the sandbox forbids. CUPRUM_PUMP_FAULTY names a build
# with --enable-faults and libseccomp, which does so on request.

load ../helper/common

TRESPASSES=(open socket fork exec ptrace kill)

setup_file() {
    [[ -n ${CUPRUM_PUMP_FAULTY-} ]] || {
        echo "CUPRUM_PUMP_FAULTY names no build with --enable-faults" >&2
        return 1
    }
}

# common.bash takes the build under test from the environment.
PUMP=${CUPRUM_PUMP_FAULTY-}
export PUMP

@test "each system call that it has no business with kills it" {
    local what
    for what in "${TRESPASSES[@]}"; do
        run --separate-stderr pump_trespassing "$what" -s 100 100>"status.$what"
        # timeout(1) dies of the signal that its child died of: 128 + SIGSYS.
        ((status == 128 + $(kill -l SYS)))
        [[ -z $output ]]
        grep -q '"event":"start"' "status.$what"
        # No end record: whoever reads the records knows.
        ! grep -q '"event":"\(end\|hop\)"' "status.$what"
    done
}

pump_trespassing() {
    local what=$1
    shift
    CUPRUM_PUMP_TRESPASS=$what pump "$@" <<<data
}

@test "with --no-sandbox the same calls do not kill it" {
    local what
    for what in "${TRESPASSES[@]}"; do
        run --separate-stderr pump_trespassing "$what" --no-sandbox
        # The build's own status for "the call succeeded"; exec succeeds too,
        # and is then /bin/true.
        case $what in
        exec) ((status == 0)) ;;
        *) ((status == 99)) ;;
        esac
    done
}

@test "a process that serves jobs is killed by a trespass, without an end record" {
    python_script <<'END'
import signal

from jobs import *

for what in ("open", "socket", "fork", "exec", "ptrace", "kill"):
    with Server(environment={"CUPRUM_PUMP_TRESPASS": what}) as server:
        job = server.run(hops=[filled(b"x"), null()])
        expect([r.event for r in job.records] == ["start"], job.text)
        server.exits(-signal.SIGSYS)
END
}
