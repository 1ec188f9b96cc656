#!/usr/bin/env bats
# Syntax of the command line: exit status 64, one line that names the culprit,
# and not a byte moved.

load common

# refused STATUS CULPRIT ARGUMENT...
refused() {
    local expected=$1 culprit=$2 got=0 fd
    shift 2
    echo untouched >in
    exec {fd}<in
    pump "$@" <&"$fd" >out 2>err || got=$?
    if ! [[ $got == "$expected" && $(wc -l <err) == 1 &&
        $(<err) == cuprum-pump:\ *"$culprit"* && ! -s out &&
        $(cat <&"$fd") == untouched ]]; then
        echo "not refused as it should be: cuprum-pump ${*@Q}" >&2
        echo "exit status $got, expected $expected and $culprit in:" >&2
        cat err >&2
        return 1
    fi
    exec {fd}<&-
}

# An option whose value is refused, in both forms.
refused_value() {
    local short=$1 long=$2 value
    shift 2
    for value; do
        refused 64 "$value" "$short" "$value"
        refused 64 "$value" "$long=$value"
    done
}

# shellcheck disable=SC2054 # the comma is one of them
NOT_NUMBERS=(x 1x '1 ' -1 -0.5 0x10 1,5 1e 18446744073709551616
    99999999999999999999999999)

@test "a buffer size that is no number from 1 to 1G is refused" {
    refused_value -b --buffer-size "${NOT_NUMBERS[@]}" 0 0K 1.5 K 1KK 1T 1KB \
        1073741825 1025M 2G 1048577K 17179869184G 18014398509481984K \
        9223372036854775808
    refused 64 buffer-size --buffer-size=
    refused 64 b -b ''
}

@test "a pipe size that is neither auto, keep nor a size is refused" {
    refused_value -z --pipe-size "${NOT_NUMBERS[@]}" 0 1.5 K 1KK autos AUTO \
        17179869184G
    refused 64 pipe-size --pipe-size=
}

@test "an unknown engine is refused" {
    refused_value -e --engine x splices Splice sendfile 1
    refused 64 engine --engine=
}

@test "a drain that is neither forever nor a number of seconds is refused" {
    refused_value -d --drain "${NOT_NUMBERS[@]}" forevers FOREVER 1.2.3 . nan \
        inf infinity 1s 99999999999999999999.5
    refused 64 drain --drain=
}

@test "a progress interval that is no number of seconds is refused" {
    local value
    for value in "${NOT_NUMBERS[@]}" 0 nan inf forever 1.2.3 .; do
        refused 64 "$value" -s 100 -p "$value" 100>status
        refused 64 "$value" -s 100 --progress="$value" 100>status
    done
    refused 64 progress -s 100 --progress= 100>status
}

@test "a status descriptor that is no number is refused" {
    refused_value -s --status-fd "${NOT_NUMBERS[@]}" 1.5 1K 2147483648 4294967297
    refused 64 status-fd --status-fd=
}

@test "an operand that is no number is refused" {
    local value
    for value in x 1x '1 ' 0x1 1.5 -1 1K 2147483648 4294967296 \
        18446744073709551616; do
        refused 64 "$value" -- "$value" 1
        refused 64 "$value" -- 0 "$value"
        refused 64 "$value" -- 0 1 "$value" 100
    done
    refused 64 '' -- '' 1
}

@test "--progress without --status-fd is refused" {
    refused 64 progress -p 1
    refused 64 progress --progress=1 0 1
}

@test "an unknown option is refused" {
    refused 64 Q -Q
    refused 64 unknown --unknown
    refused 64 unknown --unknown=1
    refused 64 drains --drains=1
}

@test "an option that lacks its value is refused" {
    local option
    for option in b z e d s p c t; do
        refused 64 "$option" "-$option"
    done
    for option in buffer-size pipe-size engine drain status-fd progress \
        control-fd idle-timeout tap; do
        refused 64 "$option" "--$option"
    done
}

@test "a value for an option that takes none is refused" {
    refused 64 ignore-interrupts --ignore-interrupts=1
    refused 64 no-sandbox --no-sandbox=1
    refused 64 help --help=1
    refused 64 version --version=1
}

@test "an odd number of operands is refused" {
    refused 64 0 0
    refused 64 100 0 1 100
}

@test "a descriptor that is named twice on the output side is refused" {
    refused 64 1 0 1 100 1 100</dev/null
    refused 64 101 0 101 100 1 102 101 100</dev/null 101>two 102</dev/null
    [[ ! -s two ]]
}

@test "an input that is its own output is refused" {
    refused 64 0 0 0
    refused 64 100 0 1 100 100 100<>both
}

@test "the status descriptor named as an operand is refused" {
    refused 64 100 -s 100 0 100 100>status
    refused 64 100 -s 100 100 1 100<>status
    refused 64 100 -s 100 0 1 101 100 100>status 101</dev/null
    [[ ! -s status ]]
}

@test "a filter's own descriptors are refused as the status descriptor" {
    refused 64 1 -s 1
    refused 64 0 -s 0
}

@test "the message is one line, whatever the culprit is" {
    refused 64 'for --buffer-size' -b $'1\n2'
    refused 64 operand -- $'0\n' 1
    refused 64 unknown $'--un\nknown'
    refused 64 option "-$(printf '\001')"
    refused 64 'for --buffer-size' -b $'\e[2J'
    [[ $(<err) != *$'\e'* ]]
    refused 64 11111 -b "$(printf '%05000d' 0 | tr 0 1)"
}

@test "one bad word among good ones is enough" {
    refused 64 x -b 64K -z keep -d 1 -b x
    refused 64 x 0 1 100 x 100</dev/null
}
