#!/bin/bash
# Shows that git works on a repository in the lower: branches back and forth, merge and rebase, stash, clean, a clean status after each,
# gc and fsck, clone, worktrees; also a repository made inside the overlay.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
need git

cat >home/.gitconfig <<'END'
[user]
name = Some One
email = one@example.org
[init]
defaultBranch = main
[advice]
detachedHead = false
[gc]
auto = 0
[pack]
threads = 1
END
export GIT_AUTHOR_DATE='2024-05-06T07:08:09Z' GIT_COMMITTER_DATE='2024-05-06T07:08:09Z'

mkdir -p tree/project
(
  cd tree/project
  git init -q
  for d in src lib doc/man; do
    mkdir -p "$d"
    for i in {1..60}; do seq "$i" $((i * 7)) >"$d/$i.c"; done
  done
  printf '#!/bin/sh\necho hello\n' >run
  chmod +x run
  ln -s src/1.c link
  echo '*.o' >.gitignore
  git add -A
  git commit -qm 'First'
  git checkout -qb feature
  git mv src source
  git rm -q 'lib/1*'
  rm link run
  mkdir link
  echo now-a-file >link/inside
  ln -s source/2.c run
  sed -i s/3/three/ doc/man/*.c
  git add -A
  git commit -qm 'Renames, removals, changed types'
  git checkout -q main
  echo main >>lib/60.c
  git commit -qam 'On main'
)

# The index holds inode numbers and change times.
same git --no-content '*/index' --no-content 'project/.git/*_HEAD' <<'END'
set -e
cd project
git status --short --branch
for i in 1 2 3; do
  git checkout -q feature
  git status --short --branch
  ls
  git checkout -q main
  git status --short --branch
done
git log --oneline --stat --graph --all
git merge -m 'Merge' feature
git status --short
ls -F
git reset -q --hard HEAD~1
git checkout -q -b topic feature
echo topic >>doc/man/5.c
git commit -qam 'Topic'
git rebase -q main
git log --oneline
echo dirty >>doc/man/6.c
rm doc/man/7.c
touch untracked doc/x.o
git status --short
git stash -q -u
git status --short
git stash pop -q
git clean -fdxq
git checkout -q .
git status --short
git gc -q --prune=now
git fsck --full --no-dangling
git count-objects -v | grep -v size
git worktree add -q ../second feature
git -C ../second status --short --branch
echo more >>../second/lib/20.c
git -C ../second commit -qam 'From the second worktree'
git worktree list | sed 's/ .*//'
git worktree remove ../second
git worktree prune -v
git checkout -q main
git branch -D topic
git log --oneline --all
END
succeeded git

same clone --no-content '*/index' <<'END'
set -e
git clone -q --no-hardlinks project clone
git -C clone status --short --branch
git clone -q project linked
git clone -q --bare project bare.git
cd clone
git checkout -q feature
find . -path ./.git -prune -o -print | sort
echo change >>doc/man/1.c
git commit -qam 'In the clone'
git push -q ../bare.git feature
git -C ../bare.git log --oneline feature
git archive feature | tar -t | sort
cd ..
rm -rf linked
mkdir fresh
cd fresh
git init -q .
cp ../project/doc/man/*.c .
git add .
git commit -qm 'Fresh'
git mv 1.c one.c
git diff --cached --stat
git reset -q --hard
git status --short --branch
git fsck --full
END
succeeded clone
