#!/bin/bash
# Shows that bash scripts with cd, pushd, CDPATH, globbing, here-documents, process substitution, redirections, traps and subshells
# do in a merged tree what they do in a plain one.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
# bash-static.sh brings another one
same_shell=("${scenario_shell:-bash}")
[[ -z ${scenario_shell:-} ]] || need_supervisor

mkdir -p tree/{one/two/three,.hidden,'sp ace',x/y}
for name in one/{a,b,c}.txt one/two/{d,e}.txt one/two/three/f.md .hidden/g 'sp ace/h i' x/y/z; do
  printf 'content of %s\nsecond line\n' "$name" >"tree/$name"
done
ln -s one/two tree/short
ln -s ../.. tree/one/two/up

same bash <<'END'
shopt -s globstar nullglob extglob
echo --- cd
top=$PWD
cd one/two && pwd && cd .. && pwd && cd - && cd -P ../../short && pwd && cd -L ../../one && pwd && cd "$OLDPWD" && pwd
cd "$top" && cd short && pwd && pwd -P && cd up && pwd && pwd -P && cd -P . && pwd
cd "$top" && CDPATH=one cd two && pwd
cd "$top" && cd absent; echo "$?"
mkdir new && cd new && rmdir ../new; echo "$?"; pwd; ls; touch x; echo "$?"; cd "$top" && pwd

echo --- pushd
pushd one; pushd two/three; dirs -v; popd; pushd +1; popd; popd; dirs; cd "$top"

echo --- globs
echo * .[!.]* **/*.txt; echo one/@(a|b).txt one/!(a).txt absent*
touch one/{k,j}.txt && rm one/b.txt && echo one/*
for f in **/; do printf '%s\n' "$f"; done | grep -v up/
[[ -e one/b.txt ]]; echo "$?"; [[ -L short && -d short && ! -f short ]]; echo "$?"
[[ one/j.txt -nt one/a.txt ]]; echo "$?"; [ -w one/a.txt ] && [ -r x ] && [ ! -x one/a.txt ]; echo "$?"
compgen -f one/ | sort

echo --- redirections
cat <<X >here.txt
a here-document in $PWD
$(cat one/a.txt)
X
cat <<-'X' >>here.txt
	not $expanded
X
cat here.txt
cat <<<"a here-string" >>one/a.txt; cat one/a.txt
exec 5<>one/c.txt; read -r line <&5; echo "$line"; echo changed >&5; exec 5>&-; cat one/c.txt
set -C; echo x >one/c.txt; echo "$?"; echo x >|one/c.txt; set +C; cat one/c.txt
{ echo out; echo err >&2; } >both.txt 2>&1; cat both.txt
: >one/two/d.txt; [ -s one/two/d.txt ]; echo "$?"

echo --- process substitution
diff <(sort one/two/e.txt) <(sort x/y/z)
while read -r word rest; do echo "$rest"; done < <(cat one/two/e.txt)
tee >(tr a-z A-Z >upper.txt) <one/two/e.txt >/dev/null; wait $!; cat upper.txt
paste <(ls one) <(ls one/two)

echo --- scripts
printf '#!/bin/bash\necho "script $0 $*"; exit 3\n' >x/script; chmod +x x/script; x/script 1 2; echo "$?"
. ./x/script; exit 4
END
[[ $(tail -n 1 bash.plain.out) == "exit status 3" ]] || fail "the script ends otherwise on a plain copy"

same background <<'END'
set -e
trap 'echo "left: $(ls)"; rm -rf kept' EXIT
mkdir kept
for i in 1 2 3 4 5 6 7 8; do
  (cd one && for j in 1 2 3 4 5; do echo "$i $j" >>"log.$i"; mv "log.$i" "log.$i.$j" && cp "log.$i.$j" "log.$i"; done) &
done
wait
ls one | wc -l
mkfifo kept/pipe
cat one/a.txt >kept/pipe &
cat kept/pipe
coproc tr a-z A-Z
echo through >&"${COPROC[1]}"
exec {COPROC[1]}>&-
read -r answer <&"${COPROC[0]}"
echo "$answer"
(cd x && rm -rf y && mkdir y && cd y && echo "$PWD" && touch -d 2020-01-01 z && [ ! -s z ])
ls x/y
kill -TERM $$
END
[[ $(tail -n 1 background.plain.out) == "exit status 143" ]] || fail "the script ends otherwise on a plain copy"
