# Sourced by the commands here: brings what the suite needs onto a Debian machine that has git and
# python3, and sets PYTHON to an interpreter with the locked packages. Idempotent and quick when
# there is nothing to do. Everything but Debian packages goes to the lab's cache directory.

DRAINER_LAB_CACHE=${DRAINER_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/drainer-lab}
export DRAINER_LAB_CACHE

setup_packages() {
    local missing=()
    command -v qemu-system-x86_64 >/dev/null || missing+=(qemu-system-x86)
    command -v qemu-img >/dev/null || missing+=(qemu-utils)
    command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
    command -v gpg >/dev/null || missing+=(gpg)
    command -v ssh >/dev/null || missing+=(openssh-client)
    command -v mke2fs >/dev/null || missing+=(e2fsprogs)
    command -v rpmbuild >/dev/null || missing+=(rpm)
    command -v git >/dev/null || missing+=(git)
    [ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing+=(debian-archive-keyring)
    command -v systemd-analyze >/dev/null || missing+=(systemd)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "== installing ${missing[*]}" >&2
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "these are missing; installing them needs root on a Debian machine" >&2
        return 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update >&2
    apt-get -q install -y --no-install-recommends "${missing[@]}" >&2
}

setup_python() {
    local lock=$1 version key
    version=$(python3 -c 'import sys; print(sys.version, sys.base_prefix)')
    key=$( (cat "$lock"; echo "$version") | sha256sum | cut -c1-12)
    local venv=$DRAINER_LAB_CACHE/venv-$key
    mkdir -p "$DRAINER_LAB_CACHE"
    (
        flock 9
        [ -e "$venv/complete" ] && exit 0
        echo "== making $venv" >&2
        rm -rf "$venv"
        python3 -m venv "$venv"
        "$venv/bin/python" -m pip --disable-pip-version-check install --quiet \
            --only-binary=:all: --require-hashes -r "$lock"
        touch "$venv/complete"
    ) 9>"$DRAINER_LAB_CACHE/venv.lock"
    PYTHON=$venv/bin/python
}

setup_packages
setup_python "$(dirname "${BASH_SOURCE[0]}")/requirements.txt"
