#!/bin/bash
# Shows that packages with shared libraries install over `--lower /`: ldconfig (a static program) writes the cache and the links of the
# overlay, dpkg below fakeroot unpacks, configures and removes a library package with its triggers, and programs then find the library.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
need gcc ldconfig dpkg dpkg-deb fakeroot
need_supervisor

upper=$tmp/upper
root() { (cd "$tmp" && "${overlaid[@]}" --lower / --upper "$upper" -- "$@"); }
# The same until nothing of the session is left: fakeroot's daemon ends a moment after it, and holds the upper for so long. What
# is left becomes a child of the keeper, as this shell is.
# shellcheck disable=SC2016
root_alone() {
  root sh -c '"$@"; status=$?; set -- this other
    while [ $# != 1 ]; do read -r line </proc/$PPID/task/$PPID/children; set -- $line; done
    exit $status' sh "$@"
}
real=(/etc/ld.so.cache /var/lib/dpkg/status /var/lib/dpkg/info /etc/ld.so.conf.d)
remember "${real[@]}"

# --- by hand: a library in a directory of the linker's own ---
cat >greet.c <<'X'
#include <stdio.h>
void greet(void) { puts("hello from the library " VERSION); }
X
echo 'void greet(void); int main(void) { greet(); }' >program.c
gcc -shared -fPIC -DVERSION='"1.0"' -Wl,-soname,libovlgreet.so.1 -o libovlgreet.so.1.0 greet.c
gcc -o program program.c ./libovlgreet.so.1.0
./program 2>/dev/null && fail "the library is on this system already"
root sh -ec '
  install -m 644 libovlgreet.so.1.0 /usr/local/lib/
  echo /opt/ovlgreet/lib >/etc/ld.so.conf.d/ovlgreet.conf
  mkdir -p /opt/ovlgreet/lib
  ldconfig'
[[ $(root readlink /usr/local/lib/libovlgreet.so.1) == libovlgreet.so.1.0 ]] || fail "ldconfig has made no link"
prints 'libovlgreet.so.1 .*=> /usr/local/lib/libovlgreet.so.1' root ldconfig -p || fail "the library is not in the cache"
[[ $(root ./program) == "hello from the library 1.0" ]] || fail "the program does not find the library"
root sh -ec 'rm /usr/local/lib/libovlgreet.so.1*; ldconfig; ! ldconfig -p | grep ovlgreet'
unchanged
echo "by hand: ok"

# --- a package ---
mkdir -p package/{DEBIAN,usr/lib,usr/share/doc/libovlgreet1}
cp libovlgreet.so.1.0 package/usr/lib/
ln -s libovlgreet.so.1.0 package/usr/lib/libovlgreet.so.1
echo doc >package/usr/share/doc/libovlgreet1/README
cat >package/DEBIAN/control <<'X'
Package: libovlgreet1
Version: 1.0
Architecture: all
Maintainer: nobody <nobody@localhost>
Section: libs
Description: a library
 that greets.
X
echo 'activate-noawait ldconfig' >package/DEBIAN/triggers
printf '#!/bin/sh\nset -e\necho "postinst $*"; ldconfig\n' >package/DEBIAN/postinst
printf '#!/bin/sh\nset -e\necho "postrm $*"\nif [ "$1" = remove ]; then ldconfig; fi\n' >package/DEBIAN/postrm
chmod 755 package/DEBIAN/post*
find package -type d -exec chmod 755 {} +
dpkg-deb --root-owner-group -b package package.deb >/dev/null

# An ordinary user can't read these two of the real system.
root sh -ec 'rm -f /var/lib/dpkg/lock /var/lib/dpkg/lock-frontend /var/lib/dpkg/triggers/Lock
  if [ -e /var/log/dpkg.log ]; then rm -f /var/log/dpkg.log; fi'
export DEBIAN_FRONTEND=noninteractive
root_alone fakeroot dpkg -i package.deb >install.log 2>&1 || { cat install.log >&2; fail "dpkg -i"; }
grep -q '^postinst configure' install.log || { cat install.log >&2; fail "no postinst"; }
[[ $(root ./program) == "hello from the library 1.0" ]] || { cat install.log >&2; fail "the program does not find the package's library"; }
prints '^Status: install ok installed' root dpkg -s libovlgreet1 || fail "dpkg does not know the package"
prints '^/usr/lib/libovlgreet.so.1.0$' root dpkg -L libovlgreet1 || fail "dpkg does not list the files"
prints libovlgreet1 root dpkg -S /usr/lib/libovlgreet.so.1 || fail "dpkg does not find the owner"

# A later version over it, and away.
gcc -shared -fPIC -DVERSION='"1.1"' -Wl,-soname,libovlgreet.so.1 -o package/usr/lib/libovlgreet.so.1.1 greet.c
rm package/usr/lib/libovlgreet.so.1.0
ln -sf libovlgreet.so.1.1 package/usr/lib/libovlgreet.so.1
sed -i 's/^Version: .*/Version: 1.1/' package/DEBIAN/control
dpkg-deb --root-owner-group -b package package.deb >/dev/null
root_alone fakeroot dpkg -i package.deb >upgrade.log 2>&1 || { cat upgrade.log >&2; fail "dpkg -i of the later version"; }
[[ $(root ./program) == "hello from the library 1.1" ]] || fail "the program has not the later library"
root test ! -e /usr/lib/libovlgreet.so.1.0 || fail "the earlier library is still there"
root_alone fakeroot dpkg -P libovlgreet1 >remove.log 2>&1 || { cat remove.log >&2; fail "dpkg -P"; }
root sh -c '! [ -e /usr/lib/libovlgreet.so.1 ] && ! [ -e /usr/share/doc/libovlgreet1 ] && ! ldconfig -p | grep ovlgreet' || fail "something is left"
root ./program >/dev/null 2>&1 && fail "the program finds a library that was removed"
unchanged
echo "package: ok"
