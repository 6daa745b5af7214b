"""A Debian archive on the host itself: what was taken off it can be installed again by `apt`."""

from tests.lab.host import Host

_ARCHIVE = "/opt/archive"
_REPACK = f"""
set -e
package=criu
tree=$(mktemp -d)
mkdir -p "$tree/DEBIAN" {_ARCHIVE}
chmod 755 "$tree"
dpkg-query -L $package | while read -r path; do
    if [ -d "$path" ] && [ ! -L "$path" ]; then
        mkdir -p "$tree$path"
    elif [ -e "$path" ]; then
        cp -a "$path" "$tree$path"
    fi
done
dpkg-query -s $package | grep -v ^Status: >"$tree/DEBIAN/control"
dpkg-deb --root-owner-group --build "$tree" {_ARCHIVE}/$package.deb >/dev/null
rm -r "$tree"
cd {_ARCHIVE}
{{
    dpkg-deb --field $package.deb
    echo "Filename: ./$package.deb"
    echo "Size: $(stat -c %s $package.deb)"
    echo "SHA256: $(sha256sum $package.deb | cut -d ' ' -f 1)"
}} >Packages
echo 'deb [trusted=yes] file:{_ARCHIVE} ./' >/etc/apt/sources.list
apt-get -q update
dpkg -r $package
"""


def take_criu_off(host: Host) -> None:
    """Uninstall CRIU, and let `apt` know of nothing but it."""
    host.run(_REPACK, 300)
