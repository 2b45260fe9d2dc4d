#!/usr/bin/env bash
# DPDK without hardware: testpmd and l3fwd from Debian's packages, one core forwards. Root.
#
# Ports: net_null has no packet bytes; net_pcap with infinite_rx copies a real frame into each buffer,
# so that its header is real; what is sent is freed. l3fwd is compiled from the example source in the
# package; a scratch copy goes without the receive checksum offload, which virtual ports do not have.
# Prints: case, median, min, max, unit, what the answers say.
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=${WORK:-$(mktemp -d)}; cpu=${CPU:-1}; secs=${SECS:-1}; samples=${SAMPLES:-5}; rt=${RT-chrt -f 50}
mkdir -p "$work"; cd "$work" || exit 1
huge_was=$(cat /proc/sys/vm/nr_hugepages)
[ "$huge_was" -ge 768 ] || echo 768 > /proc/sys/vm/nr_hugepages 2>/dev/null
if [ "$(cat /proc/sys/vm/nr_hugepages)" -ge 768 ]; then mem="--in-memory"; else mem="--no-huge -m 1200"; fi
pid=
stop() {
  [ -n "$pid" ] && kill -INT "$pid" 2>/dev/null && {
    for _ in 1 2 3 4 5 6 7 8; do kill -0 "$pid" 2>/dev/null || break; sleep 0.25; done
    kill -9 "$pid" 2>/dev/null
  }
  pid=
}
trap 'stop; echo "$huge_was" > /proc/sys/vm/nr_hugepages 2>/dev/null' EXIT
trap 'exit 1' INT TERM
prefix=vpeer$$
eal() { echo "-l $1 --no-pci $mem --file-prefix=$prefix$2"; }
sample() { # name, suffix, ports whose transmit side counts, ports that must send nothing
  for _ in $(seq 40); do [ -S "/var/run/dpdk/$prefix$2/dpdk_telemetry.v2" ] && break; sleep 0.25; done
  sleep 1.5
  local figures
  figures=$(python3 "$here/pps.py" "/var/run/dpdk/$prefix$2" "$3" "$secs" "$samples" "${4:-}") ||
    figures=$'\t\t\tMpps\tabsent: did not run'
  printf '%s\t%s\n' "$1" "$figures"
}
testpmd() { # name ports extra-vdevs -- testpmd args; its main core only sleeps
  local name=$1 ports=$2 vdevs=$3; shift 3
  # shellcheck disable=SC2086
  $rt dpdk-testpmd $(eal "0-$cpu" t) $vdevs -- --auto-start --stats-period 600 \
    --total-num-mbufs=16384 --nb-cores=1 "$@" > testpmd.log 2>&1 & pid=$!
  sample "$name" t "$ports"; stop
}
null="--vdev=net_null0,size=64,copy=0 --vdev=net_null1,size=64,copy=0"
testpmd "testpmd io, null ports" 0,1 "$null" --forward-mode=io --burst=64
testpmd "testpmd mac, null ports" 0,1 "$null" --forward-mode=mac --burst=64
testpmd "testpmd io, ring port" 0 "--vdev=net_ring0" --forward-mode=io --burst=64 \
  --port-topology=loop --tx-first
for size in 64 512 1500; do
  python3 "$here/mkpcap.py" "p$size.pcap" 512 $size 16
  testpmd "testpmd io, pcap port, $size B" 0 "--vdev=net_pcap0,rx_pcap=$work/p$size.pcap,infinite_rx=1" \
    --forward-mode=io --burst=64 --port-topology=loop
done

example=/usr/share/dpdk/examples
if [ ! -d $example/l3fwd ]; then
  printf 'l3fwd\t\t\t\tMpps\tabsent: no example source (Debian: dpdk-doc or dpdk-dev)\n'; exit 0
fi
rm -rf ex; mkdir ex; cp -r $example/l3fwd $example/common ex/
sed -i 's/RTE_ETH_RX_OFFLOAD_CHECKSUM/0/' ex/l3fwd/main.c
# shellcheck disable=SC2046
(cd ex/l3fwd && gcc -O3 $(pkg-config --cflags libdpdk) -DALLOW_EXPERIMENTAL_API -I../common main.c l3fwd*.c \
  -o l3fwd $(pkg-config --libs libdpdk)) > l3fwd-build.log 2>&1 ||
  { printf 'l3fwd\t\t\t\tMpps\tabsent: does not compile\n'; exit 0; }
for i in $(seq 0 15); do echo "R198.18.$i.0/24 1"; done > lpm16.cfg
for i in $(seq 0 999); do echo "R198.$((18 + i / 256)).$((i % 256)).0/24 1"; done > lpm1000.cfg
echo "R2001:0200:0000:0000:0000:0000:0000:0000/64 1" > lpm6.cfg
# Rules send to port 1 and nothing to port 0: what port 1 sends was matched.
{ for i in $(seq 1 99); do echo "@10.$i.0.0/16 0.0.0.0/0 0 : 65535 $i : $i 0x06/0xFF"; done
  echo "R0.0.0.0/0 0.0.0.0/0 0 : 65535 0 : 65535 0x00/0x00 1"; } > acl100.cfg
echo "R0:0:0:0:0:0:0:0/0 0:0:0:0:0:0:0:0/0 0 : 65535 0 : 65535 0x00/0x00 1" > acl6.cfg
python3 "$here/mkpcap.py" r16.pcap 512 64 16; python3 "$here/mkpcap.py" r1000.pcap 2048 64 1000
l3fwd() { # name lookup rules4 rules6 pcap
  # shellcheck disable=SC2086
  $rt ./ex/l3fwd/l3fwd $(eal "$cpu" l) --vdev=net_pcap0,rx_pcap="$work/$5",infinite_rx=1 \
    --vdev=net_null1,no-rx=1 -- -p 0x3 --config="(0,0,$cpu),(1,0,$cpu)" -P --lookup="$2" --parse-ptype \
    --no-numa --rule_ipv4="$3" --rule_ipv6="$4" > l3fwd.log 2>&1 & pid=$!
  sample "$1" l 1 0; stop
}
l3fwd "l3fwd LPM, 16 routes" lpm lpm16.cfg lpm6.cfg r16.pcap
l3fwd "l3fwd LPM, 1,000 routes" lpm lpm1000.cfg lpm6.cfg r1000.pcap
l3fwd "l3fwd FIB, 1,000 routes" fib lpm1000.cfg lpm6.cfg r1000.pcap
l3fwd "l3fwd ACL, 100 rules" acl acl100.cfg acl6.cfg r16.pcap
testpmd "testpmd io, the ports of l3fwd" 1 \
  "--vdev=net_pcap0,rx_pcap=$work/r1000.pcap,infinite_rx=1 --vdev=net_null1,no-rx=1" \
  --forward-mode=io --burst=32
exit 0
