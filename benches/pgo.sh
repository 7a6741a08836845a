#!/usr/bin/env bash
# Builds the command with a profile of itself under load, which saves some 10 % of its user-space instructions.
#
#     benches/pgo.sh            builds target/pgo/release/monoloop
#
# It needs wrk, and `rustup component add llvm-tools`. The profile is of the demo on this machine; train it with the
# requests that your application gets, and build your own program in the same way.
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
profdata=$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata
[[ -x $profdata ]] || { echo "llvm-profdata is missing: rustup component add llvm-tools" >&2; exit 1; }
command -v wrk >/dev/null || { echo "wrk is missing" >&2; exit 1; }

target=${CARGO_TARGET_DIR:-target}/pgo
profiles=$(mktemp -d)
output=$(mktemp)
demo=
trap 'kill "$demo" 2>/dev/null || true; rm -rf "$profiles" "$output"' EXIT

# With a target named, build scripts and macros are not profiled.
build() {
    RUSTFLAGS="$1" cargo build --quiet --release --target "$host" --target-dir "$target/$2"
}

echo "build with counters"
build "-Cprofile-generate=$profiles" counting

"$target/counting/$host/release/monoloop" demo --port 0 >"$output" &
demo=$!
for _ in {1..100}; do
    grep -q '^listening on ' "$output" && break
    kill -0 "$demo" || { echo "the demo ended before it listened" >&2; exit 1; }
    sleep 0.1
done
url=$(sed -n 's/^listening on //p' "$output")

# load NAME OPTIONS: three seconds of load.
load() {
    echo "train: $1"
    wrk --threads 1 --duration 3s "${@:2}" >/dev/null
}
fields=()
while IFS= read -r line; do
    fields+=(--header "$line")
done <benches/browser-fields.txt
load "plain" --connections 64 "$url/plaintext"
load "one connection" --connections 1 "$url/plaintext"
load "20 browser fields" --connections 64 "${fields[@]}" "$url/plaintext"
load "pipelined" --connections 64 --script benches/pipeline.lua "$url/plaintext"
load "a parameter, JSON" --connections 64 "$url/users/1"
load "a connection for each request" --connections 64 --header "Connection: close" "$url/json"
load "404" --connections 16 "$url/nothing"
kill -TERM "$demo"
wait "$demo"

"$profdata" merge --output "$profiles/merged.profdata" "$profiles"
echo "build with the profile"
build "-Cprofile-use=$profiles/merged.profdata" built
mkdir -p "$target/release"
cp "$target/built/$host/release/monoloop" "$target/release/monoloop"
echo "$target/release/monoloop"
