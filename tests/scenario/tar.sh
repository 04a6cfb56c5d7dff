#!/bin/bash
# Shows that tar extracts 5,000 files into a merged tree, over old ones too, and archives and compares what is there.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
need tar gzip

make_content 50 100
mkdir -p tree/{into,other}/d1/d1
tar -C content --sort=name -czf tree/archive.tar.gz .
echo old >tree/into/d1/d1/f1
echo stays >tree/into/d1/d1/old
chmod 700 tree/into/d1
ln -s elsewhere tree/into/d3

same tar --times --no-content '*.tar' <<'END'
set -e
tar -C into -xzpf archive.tar.gz
find into | wc -l
tar -C into --exclude old --sort=name -cf again.tar .
tar -tvf again.tar --full-time
tar -C into -df again.tar
tar -C other -xpf again.tar
tar -C other --unlink-first --recursive-unlink -xpf again.tar ./d1
rm -r into/d2 into/d5
END
succeeded tar
