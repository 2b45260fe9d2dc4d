#!/usr/bin/env bash
# Measures live mode beside the plain kernel: namespaces joined by veth, another namespace as the router,
# as Mininet, containerlab and Kathara have it. Root (for the kernel's side); some three minutes; needs
# iproute2, iperf3, iputils-ping, python3. Prints a table in Markdown: medians, least to most, and the
# ratio of the medians.
#
# Both sides are measured in turn, in the same run: the kernel, vpclab, the kernel, ... REPS= rounds of
# SECS= seconds; SIZES= hosts for the set-up; VPCLAB= the program; AS="setpriv --reuid=..." runs vpclab
# without root.
set -euo pipefail
vpclab=${VPCLAB:-$(cd "$(dirname "$0")/.." && pwd)/target/release/vpclab}
reps=${REPS:-5}; secs=${SECS:-2}; sizes=${SIZES:-"10 100 500"}; as=${AS:-}
id=live$$
work=$(mktemp -d); chmod 755 "$work"
clean() {
  for pid in $(jobs -p); do kill "$pid" 2>/dev/null || true; done
  $as "$vpclab" down "$id" >/dev/null 2>&1 || true
  ip netns list | awk -v p="^$id" '$1 ~ p {print $1}' | while read -r n; do ip netns del "$n"; done
  rm -rf "$work"
}
trap clean EXIT

# Two VPCs and their peering; the other side has a router between two networks.
cat > "$work/pair.yaml" <<'YAML'
vpclab: 1
name: pair
vpcs:
  A: {cidr: 10.1.0.0/16}
  B: {cidr: 10.2.0.0/16}
peerings:
  AB: {requester: A, accepter: B}
routes:
  A: {10.2.0.0/16: AB}
  B: {10.1.0.0/16: AB}
instances:
  a: {vpc: A, ip: 10.1.0.10}
  b: {vpc: B, ip: 10.2.0.10}
YAML
kernel_pair() {
  for n in a r b; do ip netns add "$id$n"; ip -n "$id$n" link set lo up; done
  ip link add e0 netns "${id}a" type veth peer name e1 netns "${id}r"
  ip link add e0 netns "${id}b" type veth peer name e2 netns "${id}r"
  ip -n "${id}a" addr add 10.1.0.10/24 dev e0; ip -n "${id}r" addr add 10.1.0.1/24 dev e1
  ip -n "${id}b" addr add 10.2.0.10/24 dev e0; ip -n "${id}r" addr add 10.2.0.1/24 dev e2
  for at in "a e0" "r e1" "r e2" "b e0"; do ip -n "$id${at% *}" link set "${at#* }" up; done
  ip -n "${id}a" route add default via 10.1.0.1; ip -n "${id}b" route add default via 10.2.0.1
  ip netns exec "${id}r" sysctl -qw net.ipv4.ip_forward=1
}
on() { # side, host, command...: runs it there
  local side=$1 host=$2; shift 2
  if [ "$side" = kernel ]; then ip netns exec "$id$host" "$@"; else $as "$vpclab" exec --lab "$id" "$host" -- "$@"; fi
}
note() { # case, side, figure
  echo "$3" >> "$work/$1.$2"
}
iperf() { # case, side, expression of the report, arguments...
  local case=$1 side=$2 figure=$3; shift 3
  on "$side" b iperf3 -s -1 >/dev/null 2>&1 &
  local server=$!; sleep 0.5
  on "$side" a iperf3 -c 10.2.0.10 -t "$secs" -J "$@" > "$work/report.json"
  wait "$server" || true
  note "$case" "$side" "$(python3 -c "import json; end = json.load(open('$work/report.json'))['end']; print($figure)")"
}
kernel_pair
$as "$vpclab" up "$work/pair.yaml" --detach --name "$id" >/dev/null
for side in kernel vpclab; do on "$side" a ping -c1 -q 10.2.0.10 >/dev/null; done
udp="(end['sum']['packets'] - end['sum']['lost_packets']) / end['sum']['seconds'] / 1e6"
tcp="end['sum_received']['bits_per_second'] / 1e9"
for _ in $(seq "$reps"); do for side in kernel vpclab; do
  iperf "1 TCP, one stream, Gbit per s" $side "$tcp"
  iperf "2 TCP, four streams, Gbit per s" $side "$tcp" -P 4
  iperf "3 UDP of 18 bytes, received, Mpps" $side "$udp" -u -l 18 -b 0
  note "4 ping, round trip, us" $side "$(on $side a ping -q -i 0.002 -c 500 10.2.0.10 |
    sed -n 's,.*= [0-9.]*/\([0-9.]*\)/.*,\1,p' | awk '{print $1 * 1000}')"
done; done
$as "$vpclab" down "$id" >/dev/null
for n in a r b; do ip netns del "$id$n"; done

# A star of hosts, until the first one reaches the last: one namespace is the router, or the VPC is.
kernel_star() { # hosts
  ip netns add "${id}r"; ip -n "${id}r" link set lo up
  ip netns exec "${id}r" sysctl -qw net.ipv4.ip_forward=1
  for i in $(seq "$1"); do echo "netns add $id$i"; done | ip -batch -
  for i in $(seq "$1"); do echo "link add e0 netns $id$i type veth peer name v$i netns ${id}r"; done | ip -batch -
  for i in $(seq "$1"); do
    echo "addr add 10.$((i >> 8)).$((i & 255)).1/30 dev v$i"; echo "link set v$i up"
  done | ip -n "${id}r" -batch -
  for i in $(seq "$1"); do
    local net=10.$((i >> 8)).$((i & 255))
    printf '%s\n' "addr add $net.2/30 dev e0" "link set e0 up" "link set lo up" "route add default via $net.1" |
      ip -n "$id$i" -batch -
  done
  ip netns exec "${id}1" ping -c1 -q "10.$(($1 >> 8)).$(($1 & 255)).2" >/dev/null
}
vpclab_star() { # hosts
  $as "$vpclab" up "$work/star$1.yaml" --detach --name "$id" >/dev/null
  on vpclab h1 ping -c1 -q "h$1" >/dev/null
}
for n in $sizes; do
  { printf 'vpclab: 1\nname: star\nvpcs:\n  A: {cidr: 10.0.0.0/16}\ninstances:\n'
    for i in $(seq "$n"); do echo "  h$i: {vpc: A}"; done; } > "$work/star$n.yaml"
  for _ in $(seq "$reps"); do for side in kernel vpclab; do
    start=$(date +%s%N); ${side}_star "$n"; end=$(date +%s%N)
    note "5 set-up of $(printf %4d "$n") hosts, s" $side "$(awk "BEGIN {print ($end - $start) / 1e9}")"
    start=$(date +%s%N)
    if [ $side = kernel ]; then
      ip netns list | awk -v p="^$id" '$1 ~ p {print "netns del", $1}' | ip -batch -
    else
      $as "$vpclab" down "$id" >/dev/null
    fi
    end=$(date +%s%N)
    note "6 taking down $(printf %4d "$n") hosts, s" $side "$(awk "BEGIN {print ($end - $start) / 1e9}")"
    # The kernel goes on with it for a while, on either side.
    sleep 2
  done; done
done
python3 - "$work" <<'PY'
import pathlib, statistics, sys
def figures(path):
    values = sorted(map(float, path.read_text().split()))
    return statistics.median(values), values[0], values[-1]
print("| case | vpclab | least..most | kernel | least..most | ratio |\n| --- | ---: | ---: | ---: | ---: | ---: |")
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.vpclab")):
    own, kernel = figures(path), figures(path.with_suffix(".kernel"))
    cells = ["%.3g" % own[0], "%.3g..%.3g" % own[1:], "%.3g" % kernel[0], "%.3g..%.3g" % kernel[1:]]
    print("|", " | ".join([path.stem[2:], *cells, "%.2f" % (own[0] / kernel[0])]), "|")
PY
