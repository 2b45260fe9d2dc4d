#!/usr/bin/env bash
# Our forwarder and every peer that installs from public packages, in one session and in turns.
#
#   benches/peers/run.sh [dpdk] [ovs] [netns] [ns3] [lpm]      all of them without arguments; ten minutes
#
# Needs root for huge pages, namespaces and the real-time policy. What is missing is installed with apt
# and pip where that is possible; what cannot be had or does not run stands in the table as absent.
# Ours is measured before and after each peer, on the same core under the same policy. Raw output stays
# in benches/peers/runs/DATE/; report.py makes the table of it, as markdown and as JSON. What is compiled
# for the peers is kept under target/peers, so that a second run needs half the time.
set -u
here=$(cd "$(dirname "$0")" && pwd); root=$(cd "$here/../.." && pwd)
cpu=${CPU:-1}; rt=${RT-chrt -f 50}
[ -z "$rt" ] || $rt true 2> /dev/null || rt=
export CPU=$cpu RT=$rt
run=${RUN:-$here/runs/$(date -u +%Y-%m-%d)}; mkdir -p "$run"
work=${WORK:-${CARGO_TARGET_DIR:-$root/target}/peers}; mkdir -p "$work"
peers=("$@"); [ $# -gt 0 ] || peers=(dpdk ovs netns ns3 lpm)

if command -v apt-get > /dev/null && [ "$(id -u)" = 0 ] && [ -z "${NO_INSTALL:-}" ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq > "$run/install.log" 2>&1
  # One by one: what one distribution lacks keeps nothing else out.
  for package in dpdk dpdk-dev dpdk-doc libdpdk-dev gcc g++ pkg-config python3 python3-pip iproute2 \
    netsniff-ng iputils-ping nftables libns3-dev openvswitch-switch openvswitch-switch-dpdk; do
    apt-get install -y -qq --no-install-recommends $package >> "$run/install.log" 2>&1 ||
      echo "not installed: $package" >> "$run/install.log"
  done
fi
cargo build --release --locked --quiet --manifest-path "$root/Cargo.toml" || exit 1
vpclab=${CARGO_TARGET_DIR:-$root/target}/release/vpclab

{
  date -u +%Y-%m-%dT%H:%MZ; uname -sr; lscpu | grep -E '^(Model name|CPU\(s\)|L[123])'
  git -C "$root" describe --always --dirty 2> /dev/null | sed 's/^/vpclab /'
  for package in dpdk openvswitch-switch-dpdk libns3-dev netsniff-ng; do dpkg-query -W "$package" 2> /dev/null; done
  rustc --version
} > "$run/machine.txt"

turn=0
ours() {
  turn=$((turn + 1))
  # shellcheck disable=SC2086
  taskset -c "$cpu" $rt "$vpclab" bench --only kinds,verdicts,routes --rounds 5 --json \
    > "$run/ours-$turn.json" || rm -f "$run/ours-$turn.json"
}
ours
for peer in "${peers[@]}"; do
  case $peer in
    dpdk | ovs | netns | ns3)
      WORK=$work/$peer timeout 600 "$here/$peer.sh" > "$run/$peer.tsv" 2> "$run/$peer.log" ||
        printf '%s\t\t\t\tMpps\tabsent: %s\n' "$peer" "$(tail -1 "$run/$peer.log")" > "$run/$peer.tsv" ;;
    lpm)
      (cd "$here/lpm" && CARGO_TARGET_DIR=$work/lpm cargo build --release --quiet) > "$run/lpm.log" 2>&1
      # shellcheck disable=SC2086
      taskset -c "$cpu" $rt "$work/lpm/release/lpm" v4 > "$run/lpm.raw.tsv" 2>> "$run/lpm.log" ||
        printf 'absent\n' > "$run/lpm.raw.tsv" ;;
    *) echo "unknown peer $peer: dpdk ovs netns ns3 lpm" >&2; exit 2 ;;
  esac
  ours
done
python3 "$here/report.py" "$run"
