#!/bin/bash
# Shows that rustc compiles in a merged tree, and that a Rust program (its own wrappers around statx, copy_file_range, posix_spawn)
# reads, copies, removes and renames there as in a plain one.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
need rustc cc
rustc --version >/dev/null 2>&1 || skip "rustc does not run for this user"

mkdir -p tree/data/{a/b/c,d}
for i in {1..20}; do echo "content $i" >"tree/data/a/file$i"; done
ln -s ../a/file1 tree/data/d/link
cat >tree/lib.rs <<'X'
use std::path::Path;
use std::{fs, io};

/// A line for each object below the path.
pub fn list(path: &Path, lines: &mut Vec<String>) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    lines.push(format!("{} dir={} link={} len={}", path.display(), meta.is_dir(), meta.file_type().is_symlink(),
                       if meta.is_file() { meta.len() } else { 0 }));
    if meta.is_dir() {
        let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(|e| e.file_name());
        for entry in entries {
            list(&entry.path(), lines)?;
        }
    }
    Ok(())
}
X
cat >tree/main.rs <<'X'
extern crate trees;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{symlink, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::{env, fs, io, thread};

fn show() -> io::Result<()> {
    let mut lines = Vec::new();
    trees::list(Path::new("data"), &mut lines)?;
    println!("{}", lines.join("\n"));
    Ok(())
}

fn main() -> io::Result<()> {
    if env::args().count() > 1 {
        println!("child {:?} in {}", env::args().skip(1).collect::<Vec<_>>(), env::current_dir()?.display());
        std::process::exit(5);
    }
    show()?;
    fs::rename("data/a/b", "data/moved")?;
    fs::copy("data/a/file1", "data/copy")?;
    fs::copy("data/a/file2", "data/a/file3")?;
    fs::hard_link("data/a/file4", "data/hard")?;
    symlink("a/file5", "data/soft")?;
    println!("{:?} {}", fs::read_link("data/soft")?, fs::canonicalize("data/soft")?.display());
    fs::create_dir_all("data/x/y/z")?;
    fs::set_permissions("data/a/file6", fs::Permissions::from_mode(0o640))?;
    println!("{:o} {}", fs::metadata("data/a/file6")?.mode(), fs::metadata("data/hard")?.nlink());
    fs::remove_file("data/a/file7")?;
    fs::remove_dir_all("data/d")?;
    for path in ["data/d", "data/a/file7", "data/a/file8/x"] {
        println!("{} {:?}", path, fs::metadata(path).map(|m| m.len()).map_err(|e| e.raw_os_error()));
    }
    let mut file = fs::OpenOptions::new().read(true).append(true).mode(0o600).open("data/a/file9")?;
    writeln!(file, "appended")?;
    file.seek(SeekFrom::Start(0))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    println!("{:?} {}", text, fs::OpenOptions::new().write(true).create_new(true).open("data/a/file9").is_err());
    let threads: Vec<_> = (0..8).map(|i| thread::spawn(move || -> io::Result<()> {
        for j in 0..20 {
            let name = format!("data/x/y/{}-{}", i, j);
            fs::write(&name, &name)?;
            fs::rename(&name, format!("data/x/{}-{}", i, j))?;
        }
        Ok(())
    })).collect();
    for thread in threads {
        thread.join().unwrap()?;
    }
    env::set_current_dir("data/x")?;
    println!("{} {}", env::current_dir()?.display(), fs::read_dir(".")?.count());
    env::set_current_dir("../..")?;
    let exe = env::current_exe()?;
    println!("{}", exe.display());
    for directory in [".", "data/moved"] {
        let output = Command::new(&exe).arg(directory).current_dir(directory).output()?;
        print!("{} {}", String::from_utf8_lossy(&output.stdout), output.status);
    }
    println!("{:?}", Command::new("sh").args(["-c", "ls | wc -l; exit 2"]).current_dir("data/a").status()?);
    let listener = UnixListener::bind("data/socket")?;
    let client = thread::spawn(|| UnixStream::connect("data/socket").and_then(|mut s| s.write_all(b"hello")));
    let mut received = String::new();
    listener.accept()?.0.read_to_string(&mut received)?;
    client.join().unwrap()?;
    println!("{}", received);
    show()
}
X

# rustc's own randomness shows in the names inside an archive.
same rust --no-content '*.rlib' <<'END'
set -e
mkdir target
rustc --edition 2021 -O --crate-type rlib --crate-name trees -o target/libtrees.rlib lib.rs
rustc --edition 2021 -O -L target -C strip=symbols -o target/main main.rs
target/main
rustc --edition 2021 --emit metadata --crate-type rlib --crate-name trees lib.rs
ls
END
succeeded rust
