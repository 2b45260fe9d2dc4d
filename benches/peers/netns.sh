#!/usr/bin/env bash
# The Linux kernel routing A - B - C between three network namespaces over veth: what Mininet,
# containerlab and Kathara rest on. Root. The sender's core does everything: sending, two veth hops,
# routing, and dropping on entry at C.
# Prints: case, median, min, max, unit, what the answers say.
set -u
n=vp$$; secs=${SECS:-1}; reps=${REPS:-5}; rt=${RT-chrt -f 50}; cpu=${CPU:-1}
a=${n}a; b=${n}b; c=${n}c
sender=
cleanup() {
  [ -n "$sender" ] && kill -9 -- "-$sender" 2>/dev/null
  for x in $a $b $c; do ip netns del $x 2>/dev/null; done
  rm -f "/tmp/$n.cfg"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
inside() { local x=$1; shift; ip netns exec "$x" "$@"; }
for x in $a $b $c; do ip netns add $x && inside $x ip link set lo up; done || { echo "no namespaces" >&2; exit 1; }
ip link add ${n}ab netns $a type veth peer name ${n}ba netns $b
ip link add ${n}bc netns $b type veth peer name ${n}cb netns $c
inside $a ip addr add 10.1.0.2/24 dev ${n}ab; inside $b ip addr add 10.1.0.1/24 dev ${n}ba
inside $b ip addr add 10.2.0.1/24 dev ${n}bc; inside $c ip addr add 10.2.0.2/24 dev ${n}cb
inside $a ip link set ${n}ab up; inside $b ip link set ${n}ba up
inside $b ip link set ${n}bc up; inside $c ip link set ${n}cb up
inside $a ip route add default via 10.1.0.1; inside $c ip route add default via 10.2.0.1
inside $b sysctl -qw net.ipv4.ip_forward=1
inside $a ping -c 1 -q 10.2.0.2 > /dev/null || { echo "A does not reach C" >&2; exit 1; }
inside $c nft "add table netdev t; add chain netdev t c { type filter hook ingress device ${n}cb priority 0; }; add rule netdev t c udp dport 9 counter drop"
packets() { inside "$1" cat "/sys/class/net/$2/statistics/$3"; }
cat > "/tmp/$n.cfg" <<CFG
{ eth(sa=$(inside $a cat /sys/class/net/${n}ab/address), da=$(inside $b cat /sys/class/net/${n}ba/address))
  ipv4(sa=10.1.0.2, da=10.2.0.2, ttl=64) udp(sp=9, dp=9) fill(0, 18) }
CFG
measure() { # name
  local rates=() before after began ended
  # trafgen pins itself to CPUs from 0 on.
  # shellcheck disable=SC2086
  setsid ip netns exec $a taskset -c "$cpu" $rt trafgen --cpus 1 -q --no-sock-mem --no-cpu-stats \
    --dev ${n}ab --conf "/tmp/$n.cfg" > /dev/null 2>&1 & sender=$!
  sleep 1
  for _ in $(seq "$reps"); do
    began=$(date +%s.%N); before=$(packets $b ${n}bc tx_packets); sleep "$secs"
    after=$(packets $b ${n}bc tx_packets); ended=$(date +%s.%N)
    rates+=("$(python3 -c "print(($after-$before)/($ended-$began)/1e6)")")
  done
  kill -INT -- "-$sender" 2>/dev/null; sleep 1; kill -9 -- "-$sender" 2>/dev/null; wait "$sender" 2>/dev/null
  sender=
  local sent got
  sent=$(packets $a ${n}ab tx_packets); got=$(packets $c ${n}cb rx_packets)
  python3 - "$1" "$sent" "$got" "${rates[@]}" <<'PY'
import statistics, sys
name, sent, got, *rates = sys.argv[1:]
rates = sorted(map(float, rates))
lost = (int(sent) - int(got)) / max(1, int(sent))
said = "all but %.4f %% of what A sent came to C" % (lost * 100)
print(f"{name}\t{statistics.median(rates):.4f}\t{rates[0]:.4f}\t{rates[-1]:.4f}\tMpps\t{said}")
PY
}
measure "namespaces and veth, A-B-C"
inside $b ip -batch <(python3 -c '
for i in range(100000): print("route add unreachable 100.%d.%d.%d/32" % (i >> 16, i >> 8 & 255, i & 255))')
measure "namespaces and veth, 100,000 routes in B"
inside $b ip route flush type unreachable table main 2>/dev/null
inside $b nft 'add table ip f; add chain ip f forw { type filter hook forward priority 0; policy drop; }; add rule ip f forw ct state established,related accept; add rule ip f forw udp dport 9 accept'
measure "namespaces and veth, stateful rules in B"
exit 0
