#!/bin/sh
# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
#
# Long runs, for `make endurance` and not for every check: much data through
# one hop by each engine, all hops that a job can bring at once, many jobs to
# one process. Every byte is compared; the figures go to standard output.
#
#   CUPRUM_PUMP         absolute path of the helper
#   PYTHON              Python 3.11 or newer [/usr/bin/python3]
#   ENDURANCE_MIB       through one hop, by each engine [16384]
#   ENDURANCE_HOPS      at once [126]
#   ENDURANCE_HOP_MIB   through each of them [4]
#   ENDURANCE_JOBS      to one process, more than 100 [10000]
#
# Exits 0 only if every byte arrived, memory did not grow, and with one hop a
# static build takes less than 2 MiB.
set -eu

PUMP=${CUPRUM_PUMP:?names the helper}
export PUMP
long_run="$(dirname "$0")/endurance.py"

run() {
    "${PYTHON:-/usr/bin/python3}" -B -s "$long_run" "$@"
}

run stream copy "${ENDURANCE_MIB:-16384}"
case $("$PUMP" --version) in
*+splice*) run stream splice "${ENDURANCE_MIB:-16384}" ;;
esac
run hops "${ENDURANCE_HOPS:-126}" "${ENDURANCE_HOP_MIB:-4}"
run jobs "${ENDURANCE_JOBS:-10000}"
