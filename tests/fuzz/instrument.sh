#!/bin/sh
# Compiles with coverage counters for libFuzzer: cargo's RUSTC_WORKSPACE_WRAPPER, so only this workspace's crates are.
# All of it is stable; one unit, so that every counter is in one table.
case "$*" in
# Runs while building, without libFuzzer.
*"--crate-name build_script_build"*) exec "$@" ;;
esac
exec "$@" --cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0
