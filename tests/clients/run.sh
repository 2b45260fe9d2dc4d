#!/usr/bin/env bash
# The tests with real clients: boto3, the AWS CLI, Ansible, and Terraform where it is installed.
# Makes what they need in target/clients-venv, at the versions of requirements.txt; then runs them
# against target/release/vpclab, or VPCLAB_BIN. Arguments go to pytest.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
venv="$root/target/clients-venv"

export VPCLAB_BIN="${VPCLAB_BIN:-$root/target/release/vpclab}"
if [ ! -x "$VPCLAB_BIN" ]; then
    echo "clients: $VPCLAB_BIN is not there: cargo build --release" >&2
    exit 1
fi

# A new environment if there is none, or one of other versions.
wanted="$(cat "$here/requirements.txt" "$here/collections.txt" "$here/run.sh" | sha256sum)"
if [ "$(cat "$venv/made-of" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$venv"
    mkdir -p "$root/target"
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        sudo=""
        [ "$(id -u)" = 0 ] || sudo=sudo
        $sudo apt-get update -qq
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv
    fi
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    # The package `ansible` is every collection there is; one of them is enough.
    "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --dest "$venv/download" --requirement "$here/collections.txt"
    "$venv/bin/python" - "$venv/download" "$venv/collections" <<'PYTHON'
import pathlib, sys, zipfile
(wheel,) = pathlib.Path(sys.argv[1]).glob("ansible-*.whl")
with zipfile.ZipFile(wheel) as archive:
    names = [n for n in archive.namelist() if n.startswith("ansible_collections/amazon/aws/")]
    archive.extractall(sys.argv[2], names)
PYTHON
    rm -r "$venv/download"
    echo "$wanted" >"$venv/made-of"
fi

# Terraform is no Python package: it is tested where it is installed, with a copy of the AWS provider
# that it need not fetch.
deselected=()
mirror=""
for candidate in "${TF_PLUGIN_MIRROR:-}" ~/.terraform.d/plugins /usr/local/share/terraform/plugins \
    /usr/share/terraform/plugins /opt/tf-plugins; do
    if [ -n "$candidate" ] && [ -d "$candidate/registry.terraform.io/hashicorp/aws" ]; then
        mirror="$candidate"
        break
    fi
done
if ! command -v terraform >/dev/null; then
    echo "terraform: not here, not tested"
    deselected+=("--ignore=$here/terraform")
elif [ -z "$mirror" ]; then
    echo "terraform: here, but no copy of its AWS provider (TF_PLUGIN_MIRROR): not tested"
    deselected+=("--ignore=$here/terraform")
else
    export TF_PLUGIN_MIRROR="$mirror"
fi

# No setting of the user's own reaches a client.
for name in ${!AWS_@} ${!ANSIBLE_@} ${!TF_VAR_@} ${!PYTEST_@}; do unset "$name"; done
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true
export PATH="$venv/bin:$PATH" ANSIBLE_COLLECTIONS_PATH="$venv/collections" PYTHONDONTWRITEBYTECODE=1

# Ansible and Terraform mostly wait for themselves, so files run side by side, the long ones first.
cd "$here"
exec "$venv/bin/python" -m pytest -p no:cacheprovider --numprocesses 3 --dist loadfile \
    --no-loadscope-reorder "${deselected[@]}" "$@"
