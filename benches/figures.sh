#!/usr/bin/env bash
# Measures all that docs/performance.md shows, and puts it there: tables, curves, pictures.
#
#   benches/figures.sh            everything but the peers; about three minutes on a quiet machine
#   benches/figures.sh text       nothing measured: the text anew from the last run
#
# One-core figures are taken on one core under a real-time policy where that is allowed; RT= turns the
# policy off, CPU chooses the core. Raw output stays in benches/runs/; the peers have their own command,
# benches/peers/run.sh, whose newest table is included.
set -eu
here=$(cd "$(dirname "$0")" && pwd); root=$(cd "$here/.." && pwd)
run=${RUN:-$here/runs/figures}; cpu=${CPU:-1}; rounds=${ROUNDS:-7}
rt=${RT-chrt -f 50}
if [ -n "$rt" ] && ! $rt true 2> /dev/null; then rt=; fi
mkdir -p "$run"
if [ "${1:-all}" != text ]; then
  cd "$root"
  cargo build --release --locked --quiet
  vpclab=${CARGO_TARGET_DIR:-$root/target}/release/vpclab
  for questions in kinds,verdicts,batches,latency vpcs routes,flows; do
    # shellcheck disable=SC2086
    taskset -c "$cpu" $rt "$vpclab" bench --rounds "$rounds" --json --only $questions \
      > "$run/bench-${questions%%,*}.json"
  done
  # shellcheck disable=SC2086
  $rt "$vpclab" bench --rounds "$rounds" --json --only workers,no-loss,changes > "$run/bench-workers.json"
  # shellcheck disable=SC2086
  taskset -c "$cpu" $rt cargo bench --locked --quiet --bench scale -- --json > "$run/scale.json.new"
  mv "$run/scale.json.new" "$run/scale.json"
fi
python3 "$here/figures.py" "$run" "$root/docs/performance.md"
