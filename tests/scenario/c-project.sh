#!/bin/bash
# Shows the main job on real C projects (Debian's sources of zlib and lua5.4): each builds in place with its source tree as the lower, to
# the same bytes as natively; and an ordinary user installs it over the real, root-owned /usr, runs it from there, compiles against it,
# uninstalls it again and reinstalls it, while the real /usr stays as it is.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# Debian's source packages by a private configuration of apt, so that the system's own is not touched.
fetch() {
  local cache=$1 apt distribution suite site components=main keyring new
  [[ ! -e $cache/complete ]] || return 0
  command -v apt-get >/dev/null || skip "no apt-get to fetch sources with"
  # shellcheck source=/dev/null
  read -r distribution suite < <(. /etc/os-release && echo "$ID ${VERSION_CODENAME:-}")
  case $distribution in
    debian) site=http://deb.debian.org/debian keyring=/usr/share/keyrings/debian-archive-keyring.gpg ;;
    ubuntu) site=http://archive.ubuntu.com/ubuntu keyring=/usr/share/keyrings/ubuntu-archive-keyring.gpg components='main universe' ;;
    *) skip "no Debian sources on $distribution" ;;
  esac
  # The mirror that this machine uses, in either format, where apt says so.
  # shellcheck disable=SC2016
  site=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 2>/dev/null |
    awk -v suite="$suite" -v other="$site" '$2 == suite { other = $1 } END { print other }')
  apt=$(mktemp -d)
  mkdir -p "$apt"/{state/lists/partial,cache/archives/partial,source}
  echo "deb-src [signed-by=$keyring] $site $suite $components" >"$apt/sources.list"
  local options=(-qq -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State=$apt/state"
    -o Dir::State::status=/dev/null -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none)
  if ! { apt-get "${options[@]}" update && (cd "$apt/source" && apt-get "${options[@]}" source --download-only zlib lua5.4); } \
    >"$apt/log" 2>&1; then
    tail -n 5 "$apt/log"
    rm -rf "$apt"
    skip "the sources can't be fetched from $site"
  fi
  # Another test may be reading there already: the files come into place whole.
  mkdir -p "$cache"
  new=$(mktemp -d "$cache/new.XXXXXX")
  cp "$apt"/source/*.orig.tar.* "$new/"
  chmod a+r "$new"/*
  mv "$new"/* "$cache/"
  rm -rf "$apt" "$new"
  touch "$cache/complete"
}

if [[ -z ${OVLRUN_TEST_DIRECTORY:-} ]]; then
  cache=${OVLRUN_TEST_CACHE:-$HOME/.cache/ovlrun-tests}
  fetch "$cache"
  # The ordinary user may not be able to look into root's home.
  OVLRUN_SOURCES=$(mktemp -d)
  export OVLRUN_SOURCES
  trap 'rm -rf "$OVLRUN_SOURCES"' EXIT
  cp "$cache"/*.orig.tar.* "$OVLRUN_SOURCES/"
  chmod -R a+rX "$OVLRUN_SOURCES"
fi
begin "$@"
need gcc make ar

unpack() {
  mkdir "$2"
  tar -C "$2" --strip-components=1 -xf "$OVLRUN_SOURCES/$1"_*.orig.tar.*[^c]
}

# --- builds in place: one tree after the other is the lower ---
unpack zlib tree
# The build makes its own files new; zlib's configure notes no time apart from its log.
same zlib --no-content configure.log <<'END'
set -e
./configure --prefix=/usr >/dev/null
make -s -j2
make -s test | tail -n 3
make -s -q
ls
END
succeeded zlib
mv tree zlib-source
mv zlib.plain zlib-built

unpack lua5.4 tree
same lua <<'END'
set -e
make -s -j2 linux
src/lua -v
src/lua -e 'local n = 0; for line in io.lines("Makefile") do n = n + 1 end; print(n > 10)'
rm src/lapi.o src/lua
make -s linux
make -s clean
make -s -j2 linux
ls src
END
succeeded lua
mv lua.plain lua-built

# --- over the real /usr ---
upper=$tmp/usr.upper
usr=("${overlaid[@]}" --lower /usr --upper "$upper")
real=(/usr/bin/lua* /usr/bin/luac* /usr/include/zlib.h /usr/include/zconf.h /usr/include/lua* /usr/share/man/man3/zlib* /usr/lib/libz*
  /usr/lib/pkgconfig /usr/local/lib/lua /usr/local/share/lua)
kept=()
for path in "${real[@]}"; do [[ ! -e $path ]] || kept+=("$path"); done
remember "${kept[@]}" /usr/bin/env
directories() { find /usr -xdev -maxdepth 2 -type d -printf '%p %m %U %G %n %T@ %C@\n' | sort; }
directories >directories.before

cat >use-lua.sh <<'END'
set -e
[ -O "$0" ] && [ "$(command -v lua)" = /usr/bin/lua ]
stat -c '%n %a' /usr/bin/lua /usr/include/lua.h /usr/lib/liblua.a
lua -v | sed 's/  .*//'
lua -e 'print(("x"):rep(3), io.open("/usr/include/lua.h"):read("l"))'
cat >"$TMPDIR/p.c" <<'X'
#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
int main(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_dostring(L, "return 6 * 7");
  printf("%d %s\n", (int) lua_tointeger(L, -1), LUA_VERSION);
}
X
gcc -o "$TMPDIR/p" "$TMPDIR/p.c" -llua -lm -ldl
"$TMPDIR/p"
END
cat >use-zlib.sh <<'END'
set -e
cat >"$TMPDIR/z.c" <<'X'
#include <zlib.h>
#include <stdio.h>
int main(void) {
  Bytef out[100];
  uLongf length = sizeof out;
  int status = compress(out, &length, (const Bytef *) "aaaaaaaaaaaaaaaaaaaa", 20);
  printf("%d %d %s\n", status, length < 20, zlibVersion()[0] == ZLIB_VERSION[0] ? "same" : "other");
}
X
gcc -I/usr/include -L/usr/lib -o "$TMPDIR/z" "$TMPDIR/z.c" -lz
"$TMPDIR/z"
gcc -I/usr/include -o "$TMPDIR/zs" "$TMPDIR/z.c" /usr/lib/libz.a
"$TMPDIR/zs"
pkg-config --version >/dev/null 2>&1 || exit 0
PKG_CONFIG_PATH=/usr/lib/pkgconfig pkg-config --libs zlib
END
sed -n '/^TO_BIN=/p;/^TO_INC=/p;/^TO_LIB=/p' lua-built/Makefile >lua.names

run() { (cd "$1" && shift && "${usr[@]}" -- "$@") >"$tmp/run.out" 2>&1 || { cat "$tmp/run.out" >&2; fail "in the overlay of /usr: $*"; }; }
changes() { "$OVLRUN" diff --upper "$upper"; }

for round in 1 2; do
  run lua-built make install INSTALL_TOP=/usr
  run zlib-built make install
  [[ ! -e /usr/lib/liblua.a || $round == 2 ]] || echo "note: this /usr has a liblua.a of its own"
  run . bash "$tmp/use-lua.sh"
  grep -q '^42 Lua 5.4' run.out || { cat run.out >&2; fail "lua, built against what was installed"; }
  run . bash "$tmp/use-zlib.sh"
  [[ $(grep -c '^0 1 same' run.out) == 2 ]] || { cat run.out >&2; fail "zlib, built against what was installed"; }
  changes >"changes.installed.$round"
  grep -q '^[AMT] /usr/bin/lua$' "changes.installed.$round" || { cat "changes.installed.$round" >&2; fail "'ovlrun diff' does not list lua"; }
  for built in lua:/usr/bin/lua luac:/usr/bin/luac liblua.a:/usr/lib/liblua.a; do
    run . cmp "$tmp/lua-built/src/${built%%:*}" "${built#*:}"
  done

  run zlib-built make uninstall
  run lua-built make uninstall INSTALL_TOP=/usr
  run . bash -c '[ ! -e /usr/bin/lua ] && [ ! -e /usr/include/lua.h ] && [ ! -e /usr/lib/liblua.a ] && [ ! -e /usr/include/zlib.h ]'
  run . bash -c '! ls /usr/bin | grep -x "lua\|luac"'
  changes >"changes.removed.$round"
  # What the real /usr has is gone by whiteouts; what it has not leaves nothing but directories behind.
  while read -r kind path; do
    case $kind in
      D) [[ -e $path || -L $path ]] || fail "'ovlrun diff' has 'D $path', which never was" ;;
      A) run . test -d "$path" ;;
      m) [[ -d $path ]] || fail "'ovlrun diff' has 'm $path'" ;;
      *) fail "'ovlrun diff' has '$kind $path' after the uninstall" ;;
    esac
  done <"changes.removed.$round"
done
cmp changes.installed.1 changes.installed.2 || fail "reinstalling changes something else than installing"
cmp changes.removed.1 changes.removed.2 || fail "the second uninstall leaves something else than the first"
grep -c '^D' changes.removed.1 | sed 's/$/ paths of the real \/usr uninstalled by whiteouts/'

unchanged
directories | diff directories.before - || fail "a directory of the real /usr has changed"
echo "installed over /usr, run, uninstalled and reinstalled: ok ($(wc -l <changes.installed.1) paths)"
