#!/usr/bin/env bash
# Everything that must pass, on a fresh machine: sets up what the tests need, then runs them.
set -euo pipefail
cd "$(dirname "$0")/.."

# tshark reads the captures back, valgrind counts instructions, and the rest is what real processes do on
# the hosts of live mode; the tests fail without them rather than skip.
missing=""
while read -r program package; do
    command -v "$program" >/dev/null || missing="$missing $package"
done <<'PROGRAMS'
tshark tshark
valgrind valgrind
curl curl
ip iproute2
iperf3 iperf3
nmap nmap
ping iputils-ping
python3 python3
setpriv util-linux
traceroute traceroute
PROGRAMS
if [ -n "$missing" ]; then
    sudo=""
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi

cargo fmt --check
cargo clippy --locked --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet
# The engine without the command line, and without the scenario front door.
cargo check --locked --no-default-features --features scenario
cargo check --locked --no-default-features
cargo test --locked --profile checks
# The worlds that take minutes: every peering graph on four VPCs with every choice of routes; a million
# packets in random worlds with everything a VPC has; ten million in batches; and the repairs of 10,000
# blocked packets.
cargo test --locked --profile checks --test it -- worlds ten_million --ignored --nocapture
# 200 kills of a server at work, 100,000 races of two owners, a million fuzzed requests, and a journal with every byte of it wrong in turn.
cargo test --locked --profile checks --test it -- kill race hostile --ignored --nocapture
cargo test --locked --profile checks --lib -- journal --ignored
# Live mode once more, by somebody else: the tests above ran as root or as nobody in particular.
tests/live/other-user.sh
# The server, as AWS's own clients use it.
VPCLAB_BIN=$PWD/target/checks/vpclab tests/clients/run.sh -q
# The program itself, as a user runs it.
cargo run --locked --profile checks --quiet -- run scenarios --threads 2
# No case of the forwarding path takes over 5 % more instructions a packet than its baseline.
cargo bench --locked --bench instructions
