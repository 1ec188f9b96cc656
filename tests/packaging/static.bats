#!/usr/bin/env bats
# What `./bootstrap static` leaves: one file that runs where there is no other.

bats_require_minimum_version 1.5.0

TOP=$BATS_TEST_DIRNAME/../..

setup_file() {
    "$TOP/bootstrap" static >"$BATS_FILE_TMPDIR/told" 3>&-
}

# PUMP is the file that was named last.
setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    PUMP=$(sed -n 's/^bootstrap: built \(.*\) ([0-9]* bytes)$/\1/p' \
        "$BATS_FILE_TMPDIR/told")
    [[ -x $PUMP ]]
}

# The pump in a root directory that has it alone.
pump_alone() {
    local become_root=()
    mkdir -p root
    cp "$PUMP" root/pump
    [[ $(find root) == $'root\nroot/pump' ]]
    ((EUID == 0)) || become_root=(unshare --map-root-user)
    timeout -k 1 20 "${become_root[@]}" chroot root /pump "$@" 3>&-
}

@test "its size and its version are told" {
    grep -F "built $PUMP ($(stat -c %s "$PUMP") bytes)" "$BATS_FILE_TMPDIR/told"
    [[ $(tail -n 3 "$BATS_FILE_TMPDIR/told") == "$("$PUMP" --version 3>&-)" ]]
}

@test "it is stripped" {
    readelf --wide --sections "$PUMP" >sections
    grep -F .text sections
    ! grep -F .symtab sections || return 1
}

@test "it says its version in an empty root" {
    run --separate-stderr pump_alone --version
    [[ $status == 0 && $output == "$("$PUMP" --version 3>&-)" ]]
}

@test "it pumps in an empty root" {
    head -c 3000000 /dev/urandom >data
    # shellcheck disable=SC2094 # the copy is another file
    pump_alone --status-fd=9 <data >copy 9>status
    cmp data copy
    grep -F '"hop":0,"read":3000000,"written":3000000,' status
    [[ $(tail -n 1 status) == '{"event":"end","errno":0,"error":null}' ]]
}
