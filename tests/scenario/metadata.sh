#!/bin/bash
# Shows that `chmod -R` and `chown -R` over 20,000 files of a lower leave an upper of metadata alone: no file there has a block of its
# own, sizes and contents are as before, and the first one that is written to gets its data, and it alone.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"

python3 - <<'END'
import os
for i in range(20000):
    directory = f"lower/d{i % 100}"
    os.makedirs(directory, exist_ok=True)
    with open(f"{directory}/f{i}", "w", encoding="ascii") as file:
        file.write(f"{i}\n" * 300)
END
remember_lower "$tmp/lower"

cat >blocks.py <<'END'
"""How many files below a directory have blocks, and how many there are."""
import os, stat, sys
all_of_them = [os.lstat(os.path.join(where, name)) for where, _, names in os.walk(sys.argv[1]) for name in names]
files = [st for st in all_of_them if stat.S_ISREG(st.st_mode)]
print(sum(1 for st in files if st.st_blocks), "of", len(files))
END

for change in "chmod -R g+w" "chown -R $(id -u):$(id -g)"; do
  rm -rf upper upper.work
  read -ra words <<<"$change"
  find lower -type f -printf '%p %s %b\n' | sort >before
  "${overlaid[@]}" --lower lower --upper upper -- sh -c '"$@"; find lower -type f -printf "%p %s %b\n" | sort' sh "${words[@]}" lower >after
  cmp before after || fail "$change: sizes or blocks are shown otherwise"
  told=$(python3 blocks.py upper)
  [[ $told == "0 of 20000" ]] || fail "$change: data in the upper: $told"
  "${overlaid[@]}" --lower lower --upper upper -- sh -c 'cat lower/d7/* | cmp - /dev/fd/3 && echo more >>lower/d7/f7' 3< <(cat lower/d7/*)
  told=$(python3 blocks.py upper)
  [[ $told == "1 of 20000" ]] || fail "$change: after one file was written to: $told"
done
check_lower
