#!/usr/bin/env bash
# Measures what docs/performance.md shows of the API server, beside moto_server, and puts it there; about
# five minutes on a quiet machine, beside what is to be built.
#
# The servers have one core (CPU), the clients another (CLIENTS); ROUNDS= says how often. moto is
# installed into target/moto-venv, at the version below; MOTO= names another Python that has it.
set -eu
here=$(cd "$(dirname "$0")" && pwd); root=$(cd "$here/.." && pwd)
run=${RUN:-$here/runs/figures}; rounds=${ROUNDS:-5}; moto=${MOTO:-$root/target/moto-venv/bin/python}
mkdir -p "$run"
cd "$root"
if [ ! -x "$moto" ]; then
  python3 -m venv target/moto-venv
  target/moto-venv/bin/python -m pip install --quiet --disable-pip-version-check 'moto[server]==5.2.5'
fi
cargo bench --locked --quiet --bench api --bench replay --no-run
taskset -c "${CLIENTS:-0}" cargo bench --locked --quiet --bench api -- \
  --rounds "$rounds" --cpu "${CPU:-1}" --moto "$moto" --json "$run/api.json.new"
mv "$run/api.json.new" "$run/api.json"
cargo bench --locked --quiet --bench replay -- --rounds "$rounds" --json "$run/replay.json.new"
mv "$run/replay.json.new" "$run/replay.json"
python3 "$here/figures.py" "$run" "$root/docs/performance.md"
