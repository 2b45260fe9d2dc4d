#!/usr/bin/env bash
# The tests of live mode as a user of the other kind: one without any privilege if this is root, else root.
# From copies, since the other user may not be able to read this directory. Arguments go to the tests.
set -euo pipefail
cd "$(dirname "$0")/../.."

tests="$(cargo test --locked --profile checks --test live --no-run --message-format=json |
    grep -o '"executable":"[^"]*/live-[^"]*"' | cut -d'"' -f4)"
program="${VPCLAB_BIN:-target/checks/vpclab}"

stage="$(mktemp -d)"
trap 'rm -rf "$stage"' EXIT
install -m 755 "$tests" "$stage/live"
install -m 755 "$program" "$stage/vpclab"
mkdir "$stage/tests" "$stage/tmp"
cp -r scenarios "$stage/"
cp -r tests/data "$stage/tests/"
chmod -R a+rX "$stage"
chmod a+rwxt "$stage/tmp"

# A number that belongs to nobody: live mode needs no entry in any file.
if [ "$(id -u)" = 0 ]; then
    become=(setpriv --reuid=54321 --regid=54321 --clear-groups)
else
    become=(sudo)
fi
cd "$stage"
"${become[@]}" env HOME="$stage/tmp" TMPDIR="$stage/tmp" VPCLAB_BIN="$stage/vpclab" \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin ./live "$@"
