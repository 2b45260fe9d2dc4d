#!/usr/bin/env bash
# Open vSwitch's userspace datapath from Debian's packages, on DPDK without hardware. Root.
#
# One polling thread takes real 64 B UDP frames from a net_pcap port (infinite_rx), runs the flow table
# and hands them to a net_null port. Daemon and database live in the work directory; no service of the
# system is used.
# Prints: case, median, min, max, unit, what the answers say.
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=${WORK:-$(mktemp -d)}; cpu=${CPU:-1}; secs=${SECS:-1}; samples=${SAMPLES:-5}; rt=${RT-chrt -f 50}
daemon=/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk
if ! [ -x $daemon ] || ! command -v ovsdb-server > /dev/null; then
  printf 'Open vSwitch\t\t\t\tMpps\tabsent: not installed (Debian: openvswitch-switch-dpdk)\n'; exit 0
fi
mkdir -p "$work"; run=$(mktemp -d "$work/run.XXXX")
export OVS_RUNDIR=$run OVS_LOGDIR=$run OVS_DBDIR=$run
huge_was=$(cat /proc/sys/vm/nr_hugepages)
[ "$huge_was" -ge 768 ] || echo 768 > /proc/sys/vm/nr_hugepages
stop() { # which
  local pid
  [ -s "$run/$1.pid" ] || return
  pid=$(cat "$run/$1.pid"); kill "$pid" 2> /dev/null
  for _ in 1 2 3 4 5 6 7 8; do kill -0 "$pid" 2> /dev/null || return; sleep 0.25; done
  kill -9 "$pid" 2> /dev/null
}
cleanup() { stop vs; stop db; echo "$huge_was" > /proc/sys/vm/nr_hugepages; rm -rf "$run"; }
trap cleanup EXIT
trap 'exit 1' INT TERM
for n in 16 1000; do python3 "$here/mkpcap.py" "$work/r$n.pcap" 2048 64 $n; done
ovsdb-tool create "$run/conf.db" /usr/share/openvswitch/vswitch.ovsschema || exit 1
ovsdb-server "$run/conf.db" --remote="punix:$run/db.sock" --pidfile="$run/db.pid" --detach \
  --log-file="$run/db.log" -vconsole:off || exit 1
vsctl() { timeout 60 ovs-vsctl --db="unix:$run/db.sock" "$@"; }
vsctl --no-wait init
vsctl --no-wait set Open_vSwitch . other_config:dpdk-init=true \
  other_config:dpdk-extra="--no-pci --in-memory --file-prefix=vpeero$$" other_config:dpdk-lcore-mask=0x1 \
  other_config:pmd-cpu-mask="$(printf '0x%x' $((1 << cpu)))" other_config:dpdk-socket-mem=768
# Not under the real-time policy: its main thread polls too while it sets up, and would keep a core from
# everybody. Only the thread that forwards gets it, once it runs.
$daemon "unix:$run/db.sock" --pidfile="$run/vs.pid" --detach --log-file="$run/vs.log" -vconsole:off || exit 1
ctl() { ovs-appctl -t "$(echo "$run"/ovs-vswitchd*.ctl)" "$@"; }
if ! vsctl add-br br0 -- set bridge br0 datapath_type=netdev; then
  printf 'Open vSwitch\t\t\t\tMpps\tabsent: the daemon does not come up\n'; exit 0
fi
vsctl add-port br0 sink -- set Interface sink type=dpdk options:dpdk-devargs="net_null1,no-rx=1"
rules() { ovs-ofctl del-flows "$run/br0.mgmt"; ovs-ofctl add-flows "$run/br0.mgmt" -; }
source_from() { # pcap, number of the port
  vsctl --if-exists del-port br0 src
  vsctl add-port br0 src -- set Interface src type=dpdk \
    options:dpdk-devargs="net_pcap$2,rx_pcap=$1,infinite_rx=1"
}
measure() { # name
  local rates=() began out task
  sleep 1
  if [ -n "$rt" ]; then
    for task in /proc/"$(cat "$run/vs.pid")"/task/*; do
      case $(cat "$task/comm") in pmd*) chrt -f -p 50 "${task##*/}" ;; esac
    done
  fi
  for _ in $(seq "$samples"); do
    ctl dpif-netdev/pmd-stats-clear > /dev/null; began=$(date +%s.%N); sleep "$secs"
    out=$(ctl dpif-netdev/pmd-stats-show)
    rates+=("$(python3 -c '
import re, sys, time
polled = sys.argv[1].partition("pmd thread")[2]
print(int(re.search(r"packets received: (\d+)", polled)[1]) / (time.time() - float(sys.argv[2])) / 1e6)
' "$out" "$began")")
  done
  python3 -c '
import statistics, sys
rates = sorted(float(rate) for rate in sys.argv[2:] if rate)
if not any(rates):
    print(f"{sys.argv[1]}\t\t\t\tMpps\tabsent: nothing was forwarded")
    sys.exit()
print(f"{sys.argv[1]}\t{statistics.median(rates):.2f}\t{rates[0]:.2f}\t{rates[-1]:.2f}\tMpps\tnot checked")
' "$1" "${rates[@]}"
}
routes() { # how many
  for i in $(seq 0 $(($1 - 1))); do
    echo "ip,nw_dst=198.$((18 + i / 256)).$((i % 256)).0/24,actions=dec_ttl,mod_dl_dst:02:00:00:00:00:09,output:sink"
  done
}
stateful() {
  echo "table=0,ip,udp,ct_state=-trk,actions=ct(table=1)"
  echo "table=1,ip,ct_state=+trk+new,actions=ct(commit),output:sink"
  echo "table=1,ip,ct_state=+trk+est,actions=output:sink"
}
source_from "$work/r16.pcap" 0
echo "in_port=src,actions=output:sink" | rules; measure "Open vSwitch, port to port"
routes 16 | rules; measure "Open vSwitch, 16 routes"
source_from "$work/r1000.pcap" 2
routes 1000 | rules; measure "Open vSwitch, 1,000 routes and flows"
stateful | rules; measure "Open vSwitch, stateful, 1,000 flows"
exit 0
