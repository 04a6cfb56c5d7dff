#!/bin/bash
# Shows that sqlite3 works on a database of the lower with a write-ahead log and with a rollback journal, by several processes at once.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
need sqlite3

mkdir tree
sqlite3 tree/wal.db <<'END' >/dev/null
pragma journal_mode = wal;
create table t (id integer primary key, v text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) insert into t select i, 'value ' || i from n;
END
sqlite3 tree/journal.db <<'END'
create table t (id integer primary key, v text);
insert into t values (1, 'one');
END

# The counters in the header tell how often a file was opened for writing; its rows are compared instead.
same sqlite --no-content '*.db' <<'END'
set -e
sqlite3 wal.db 'pragma journal_mode; select count(*), sum(id) from t;'
sqlite3 wal.db <<'X'
begin;
update t set v = 'changed' where id % 10 = 0;
delete from t where id % 3 = 0;
select count(*) from t;
rollback;
select count(*) from t;
update t set v = upper(v) where id < 100;
create index by_v on t (v);
.shell ls wal.db*
pragma wal_checkpoint(truncate);
pragma integrity_check;
X
ls
for i in 1 2 3 4; do
  for j in 1 2 3 4 5; do
    echo ".timeout 20000"
    echo "begin immediate; insert into t (v) values ('process $i $j'); commit;"
  done | sqlite3 wal.db &
done
wait
sqlite3 wal.db 'select count(*) from t; select v from t where v like "process%" order by v; pragma integrity_check;'
sqlite3 journal.db "begin; insert into t values (2, 'two'); update t set v = v || '!'; commit; select * from t; vacuum;"
sqlite3 journal.db 'pragma journal_mode = wal; insert into t values (3, 3);'
sqlite3 new.db "pragma journal_mode = wal; create table n (x); insert into n values (1); attach 'wal.db' as w; select count(*) from w.t;"
sqlite3 wal.db 'select v from t order by v' | sha256sum
cp journal.db copied.db
mv journal.db moved.db
sqlite3 copied.db 'select * from t; delete from t; select count(*) from t;'
sqlite3 moved.db 'select * from t; pragma integrity_check;'
END
succeeded sqlite
