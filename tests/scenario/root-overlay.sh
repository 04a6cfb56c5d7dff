#!/bin/bash
# Shows that the shells, tools, compilers and interpreters of a distribution start and work inside `--lower /`, and that what
# they write and remove anywhere below / lands in the upper alone.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"

upper=$tmp/upper
mkdir -p work/d
printf 'b\na\n' >work/lines
remember "$tmp/work" /etc/hostname /etc/passwd /usr/bin/env
ls -ld --time-style=full-iso / /etc /usr /usr/bin /opt >directories.before
failed=()

# check PROGRAM EXPECTED COMMAND: runs the command by sh in $tmp/work inside the overlay.
check() {
  local program=$1 expected=$2 status=0 output
  if ! command -v "$program" >/dev/null; then
    echo "SKIPPED: $program, which is not here"
    return
  fi
  output=$(cd "$tmp/work" && "${overlaid[@]}" --lower / --upper "$upper" -- sh -c "$3" 2>&1) || status=$?
  if ((status)) || [[ $output != "$expected" ]]; then
    printf 'FAILED: %s: status %s, output:\n%s\nexpected:\n%s\n' "$program" "$status" "$output" "$expected" >&2
    failed+=("$program")
    return
  fi
  echo "$program: ok"
}

# shellcheck disable=SC2016
checks() {
  check dash $'dash\n1' 'dash -c "echo dash >from-dash; cat from-dash; cd d && ls ../from-dash | wc -l"'
  check bash 'bash from-bash from-dash' 'bash -c "echo bash >from-bash; mapfile -t l < <(cat from-bash); echo \${l[0]} from-*"'
  check ls $'a\nb\n755 d\ncopied' \
    'sort lines; stat -c "%a %n" d; cp lines copied; mv copied d/; ls d; ln -s d l; head -c 9 /dev/urandom | tee r >/dev/null; mkdir -p x/y; rm -r r x; touch -r lines l; df . >/dev/null'
  check find $'d/copied\nd' 'find d -depth; find /etc -maxdepth 1 -name hostname -newer /nonexistent 2>/dev/null; find d -name copied | xargs rm'
  check tar $'d/\nd/one\n1' 'echo 1 >d/one; tar cf t.tar d; tar tf t.tar; mkdir e; tar -C e -xf t.tar; cat e/d/one; rm -r e'
  check make 'made out' "printf 'out: lines\n\t@cp lines out; echo made out\nout2: out\n\t@:\n' >Makefile; make -s -j2 out2; make -q out"
  check gcc 'hello 3' 'printf "#include <stdio.h>\n#include <math.h>\nint main(int c, char **v) { printf(\"hello %%d\\\n\", c + (int) sqrt(4)); }" >h.c; gcc -O1 h.c -o h -lm && ./h'
  check clang 'hello 3' 'clang -O1 h.c -o h2 -lm && ./h2'
  check git $'[main] first\n?? lines' 'mkdir g; cd g; git init -qb main; cp ../Makefile .; git add .
    git -c user.name=a -c user.email=a@b commit -qm first; git log --format="[%D] %s" | sed "s/HEAD -> //"; cp ../lines .; git status --short; git gc -q'
  check python3 "['lines'] True" 'mkdir p; cp lines p; python3 -c "
import os, subprocess, sqlite3, ssl, json
print(os.listdir(\"p\"), subprocess.run([\"cmp\", \"lines\", \"p/lines\"]).returncode == 0)"'
  check perl 'a,b' 'perl -MPOSIX -MFile::Temp -e "open my \$f, q(<), q(lines); chomp(my @l = <\$f>); print join(q(,), sort @l), qq(\n); rename q(lines), q(moved) or die"'
  check node $'[ \'one\' ] 2\nchild' 'node -e "
const fs = require(\"fs\"); fs.writeFileSync(\"n.js\", \"console.log(\\\"child\\\")\"); fs.rmSync(\"p\", {recursive: true});
console.log(fs.readdirSync(\"d\"), fs.readFileSync(\"moved\", \"utf8\").trim().split(\"\\n\").length);
console.log(require(\"child_process\").execFileSync(process.execPath, [\"n.js\"]).toString().trim());"'
  # Anywhere below /, not just where the user may write.
  check env $'overlay\n0\n/opt/mine:\nfile\ngone' 'echo overlay >/etc/hostname; cat /etc/hostname; chown root:root /etc/hostname; stat -c %u /etc/hostname
    mkdir /opt/mine; echo x >/opt/mine/file; ls -R /opt/mine; rm /etc/passwd; [ -e /etc/passwd ] || echo gone; test -e /proc/self/exe -a -w /dev/null'
}
checks

unchanged
ls -ld --time-style=full-iso / /etc /usr /usr/bin /opt | diff directories.before - || fail "a directory of the real / has changed"
"$OVLRUN" diff --upper "$upper" >changes
for line in 'M /etc/hostname' 'D /etc/passwd' 'A /opt/mine' 'A /opt/mine/file' "A $tmp/work/from-dash"; do
  grep -qxF "$line" changes || fail "'ovlrun diff' does not list: $line"
done
((${#failed[@]} == 0)) || fail "${failed[*]}"
