#!/bin/bash
# Shows that perl's file operations, file tests, in-place edits and File::* modules do in a merged tree what they do in a plain one.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
need perl

mkdir -p tree/{in,dir/sub/deep}
for i in {1..20}; do printf 'one %s\ntwo\n' "$i" >"tree/in/$i.txt"; done
ln -s in/1.txt tree/link
echo x >tree/dir/x
touch -d 2003-03-03 tree/in/*

same perl <<'END'
set -e
perl -pi -e 's/one/uno/' in/1*.txt
perl -pi.bak -e 's/two/due/' in/2.txt
cat >work.pl <<'X'
use strict; use warnings;
use File::Copy; use File::Path qw(make_path remove_tree); use File::Find; use File::Temp; use Cwd; use Fcntl ':flock';
my @s = stat "in/3.txt"; print "$s[7] $s[9] $s[3]\n";
print join(" ", map { -e $_ ? "e" : "-", -d _ ? "d" : "-", -f _ ? "f" : "-", -l $_ ? "l" : "-" } qw(in link in/1.txt absent)), "\n";
opendir my $d, "in" or die; print join(" ", sort grep { !/^\./ } readdir $d), "\n"; rewinddir $d; my @again = readdir $d; print scalar @again, "\n";
rename "in/4.txt", "in/four" or die $!; print -e "in/4.txt" ? "still" : "gone", "\n";
unlink "in/5.txt" or die $!; print unlink("in/5.txt"), " $!\n";
mkdir "in/5.txt" or die $!; rmdir "in/5.txt" or die $!; mkdir "in/5.txt", 0750 or die $!;
print rmdir("dir") ? "removed" : "kept: $!", "\n";
link "in/6.txt", "in/six" or die $!; symlink "six", "in/sym" or die $!; print readlink("in/sym"), " ", (stat "in/sym")[3], "\n";
chmod 0600, "in/7.txt"; utime 1e9, 1e9, "in/7.txt"; printf "%o %d\n", (stat "in/7.txt")[2, 9];
truncate "in/8.txt", 2; print -s "in/8.txt", "\n";
copy("in/9.txt", "copied") or die; move("dir/sub", "moved") or die; print -d "moved/deep" ? "moved\n" : "lost\n";
make_path("a/b/c"); remove_tree("a"); print -e "a" ? "there\n" : "removed\n";
my @found; find({ wanted => sub { push @found, "$File::Find::name " . (-d $_ ? "d" : "f") }, no_chdir => 0 }, "."); print join("\n", sort @found), "\n";
my $t = File::Temp->new(DIR => "in"); print $t "x"; close $t; print -s $t->filename, "\n";
open my $f, "+<", "in/10.txt" or die; flock $f, LOCK_EX; my $l = <$f>; seek $f, 0, 0; print $f "UN"; close $f; open $f, "<", "in/10.txt"; print <$f>; close $f;
open $f, ">>", "in/11.txt" or die; print $f "appended\n"; close $f; open $f, "<", "in/11.txt"; print <$f>; close $f;
print join(" ", sort glob "in/{1,2}*.txt"), "\n";
chdir "moved" or die; print getcwd(), "\n"; print Cwd::realpath("../link"), "\n"; chdir ".."; print `pwd; ls in | wc -l`;
system "rm -rf in/1*.txt"; print scalar(() = glob "in/1*.txt"), "\n"; open my $p, "-|", "cat in/six" or die; print <$p>; close $p;
X
perl work.pl
END
succeeded perl
