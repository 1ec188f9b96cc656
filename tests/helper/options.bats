#!/usr/bin/env bats
# Every option in its short and its long form, and what it accepts.

# shellcheck disable=SC2154 # `run` sets stderr and stderr_lines
load common

# copies OPTION...: the pump passes its input on unchanged, and says nothing.
copies() {
    local said
    printf 'through the pump\n' >in
    said=$(pump "$@" <in 2>&1 >out)
    [[ -z $said ]]
    cmp in out
}

@test "without options it is a filter from standard input to standard output" {
    copies
    copies 0 1
    copies -- 0 1
}

@test "--help goes to standard output and names every option" {
    local form option
    for form in -h --help; do
        run --separate-stderr pump "$form"
        ((status == 0))
        [[ -z $stderr ]]
        [[ ${lines[0]} == Usage:* ]]
        for option in -b --buffer-size -z --pipe-size -e --engine -d --drain \
            -s --status-fd -r --release -T --tap -p --progress -i --ignore-interrupts \
            -c --control-fd -t --idle-timeout --no-sandbox \
            -h --help -V --version; do
            grep -qE -e "(^|[ ,])$option([ ,=]|\$)" <<<"$output"
        done
    done
}

@test "--version names the program, its version, the features and the protocol" {
    local form
    for form in -V --version; do
        run --separate-stderr pump "$form"
        ((status == 0))
        [[ -z $stderr ]]
        [[ ${lines[0]} =~ ^cuprum-pump\ .*[0-9]+\.[0-9]+\.[0-9]+ ]]
        grep -qE '(^| )[+-]splice( |$)' <<<"$output"
        grep -qE '(^| )[+-]seccomp( |$)' <<<"$output"
        grep -qi 'protocol 1' <<<"$output"
    done
}

@test "--version and the start record agree" {
    local version
    version=$(pump --version | head -n 1 | grep -oE '[0-9]+\.[0-9]+\.[0-9]+')
    pump -s 100 100>status </dev/null
    records status "start.version == '$version'" 'start.protocol == 1'
}

into_full() {
    pump "$@" </dev/null >/dev/full
}

@test "--help and --version fail when nobody can be told" {
    local form
    for form in --help --version; do
        run -74 --separate-stderr into_full "$form"
        ((${#stderr_lines[@]} == 1))
        [[ $stderr == cuprum-pump:\ * ]]
    done
}

@test "--help and --version fail at a terminal that has gone" {
    local form got=0
    for form in --help --version; do
        got=0
        with_pairs --pty 100:101 <<END 2>err || got=$?
exec 101>&-
"$PUMP" $form >&100
END
        ((got == 74))
        [[ $(<err) == 'cuprum-pump: standard output: '* ]]
    done
}

@test "--buffer-size takes bytes and the suffixes K, M and G" {
    local size
    for size in 1 7 65536 64K 1M 1G 1073741824 1048576K 1024M; do
        copies -b "$size"
        copies --buffer-size="$size"
        copies --buffer-size "$size"
    done
}

@test "--pipe-size takes auto, keep and a size" {
    local size
    for size in auto keep 1 4096 64K 1M; do
        copies -z "$size"
        copies --pipe-size="$size"
    done
}

@test "--engine takes auto and copy in every build" {
    local engine
    for engine in auto copy; do
        copies -e "$engine"
        copies --engine="$engine"
    done
}

@test "--engine=splice moves bytes between pipes, or fails the hop where there is none" {
    local form
    for form in '-e splice' -esplice --engine=splice; do
        make_pipe in
        printf 'by splice' >&"${W[in]}"
        close_writer in
        # shellcheck disable=SC2086 # one form is two words
        run --separate-stderr pump $form -s 100 100>status <&"${R[in]}"
        close_reader in
        if has_splice; then
            ((status == 0))
            [[ $output == 'by splice' ]]
            records status 'hop[0].engine == "splice"' 'hop[0].written == 9'
        else
            ((status == 74))
            [[ -z $output ]]
            records status 'hop[0].errno != 0' 'hop[0].read == 0'
        fi
    done
}

@test "--drain takes seconds, fractions of them, and forever" {
    local seconds
    for seconds in 0 0.25 .5 2 2.0 86400 forever; do
        copies -d "$seconds"
        copies --drain="$seconds"
    done
}

@test "--status-fd takes the number of a descriptor" {
    local form
    for form in '-s 100' '-s100' '--status-fd=100' '--status-fd 100'; do
        # shellcheck disable=SC2086 # some forms are two words
        copies $form 100>status
        records status 'start.hops == 1' 'hop[0].written == 17'
    done
}

@test "--progress takes seconds, together with --status-fd" {
    copies -s 100 -p 1 100>status
    records status
    copies --status-fd=100 --progress=0.5 100>status
    records status
    copies --progress=0.5 --status-fd=100 100>status
    records status
}

@test "--ignore-interrupts takes no value" {
    copies -i
    copies --ignore-interrupts
}

@test "short options can be joined" {
    copies -ib64K -s100 100>status
    records status
}
