#!/usr/bin/env bash
# ns-3 doing the same job: routed UDP flows of 18 B over point-to-point links, from two packages.
# Prints: case, median, min, max, unit, what the answers say.
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=${WORK:-$(mktemp -d)}; reps=${REPS:-5}; cpu=${CPU:-1}; rt=${RT-chrt -f 50}
mkdir -p "$work"
[ -d "$work/wheel/ns3" ] || python3 -m pip install -q --no-deps --target "$work/wheel" ns3==3.44.post0 2>/dev/null
lib=$work/wheel/ns3/lib64
if [ -d "$lib" ]; then
  libs=""
  for m in applications internet bridge traffic-control point-to-point mpi network stats core; do
    [ -e "$lib/libns3.44-$m.so" ] && libs="$libs $lib/libns3.44-$m.so"
  done
  # shellcheck disable=SC2086
  g++ -std=c++20 -O3 -I"$work/wheel/ns3/include" "$here/ns3.cc" -o "$work/wheel-bin" $libs \
    -Wl,-rpath,"$lib:$work/wheel/ns3.libs" -Wl,--allow-shlib-undefined 2>"$work/wheel.log"
fi
if [ -e /usr/include/ns3/core-module.h ]; then
  g++ -std=c++17 -O3 "$here/ns3.cc" -o "$work/debian-bin" -lns3-applications -lns3-internet \
    -lns3-point-to-point -lns3-network -lns3-stats -lns3-core 2>"$work/debian.log"
fi
run() { # name, binary, arguments
  local name=$1 binary=$2; shift 2
  if [ ! -x "$binary" ]; then printf '%s\t\t\t\tMpps\tabsent: not installed or does not compile\n' "$name"; return; fi
  for _ in $(seq "$reps"); do
    # shellcheck disable=SC2086
    taskset -c "$cpu" $rt "$binary" "$@"
  done | python3 -c '
import statistics, sys
rates, wrong = [], 0
for line in sys.stdin:
    cells = line.split()
    cell = dict(zip(cells[3::2], cells[4::2]))
    rates.append(float(cell["fwd_per_s"]) / 1e6)
    # Every packet that a router forwarded last has been received.
    hops = int(cell["forwarded"]) / max(1, int(cell["received"]))
    wrong += hops != float(sys.argv[2])
said = "received at the end of the right number of hops" if not wrong else "lost packets"
print(f"{sys.argv[1]}\t{statistics.median(rates):.4f}\t{min(rates):.4f}\t{max(rates):.4f}\tMpps\t{said}")
' "$name" "$hops"
}
for from in debian wheel; do
  hops=1 run "ns-3 ($from), A-B-C" "$work/$from-bin" --shape=chain --nodes=3
  hops=58 run "ns-3 ($from), chain of 60" "$work/$from-bin" --shape=chain --nodes=60 --pps=2000
  hops=1 run "ns-3 ($from), star of 100" "$work/$from-bin" --shape=star --nodes=100 --flows=99 --pps=500
done
exit 0
