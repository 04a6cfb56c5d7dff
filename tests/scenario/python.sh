#!/bin/bash
# Shows that python3 makes a virtual environment in a merged tree, compiles and runs what is there, and removes and renames trees by
# shutil, tempfile, zipfile and pathlib.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
need python3

mkdir -p tree/package/sub tree/data
for i in {1..50}; do
  echo "def f$i(x): return x + $i" >"tree/package/m$i.py"
done
echo 'from package import m1, m50; print(m50.f50(m1.f1(1)))' >tree/package/__main__.py
touch tree/package/{,sub/}__init__.py
cp -r tree/package tree/data/copy
pip=() # Debian has ensurepip in a package of its own
python3 -c 'import ensurepip' 2>/dev/null || pip=(--without-pip)
export pip_option=${pip[*]}
# Compiled files then hold a hash of their source, not its time.
export SOURCE_DATE_EPOCH=1700000000

same venv <<'END'
set -e
python3 -m venv $pip_option --symlinks env
. env/bin/activate
command -v python
python -c 'import sys; print(sys.prefix, sys.base_prefix != sys.prefix)'
[ "$pip_option" ] || pip --disable-pip-version-check list 2>&1 | head -n 3
python -m compileall -q -j 2 package
ls package/__pycache__ | wc -l
python -m package
rm -r package/__pycache__
python -m package
ls package/__pycache__
deactivate
END
succeeded venv

same modules <<'END'
cat >work.py <<'X'
import glob, os, pathlib, shutil, tempfile, zipfile
shutil.copytree("package", "copied", symlinks=True)
print(sorted(os.listdir("copied"))[:5])
shutil.rmtree("package")
print(os.path.exists("package"), os.path.exists("copied/sub"))
os.rename("copied", "package")
shutil.move("package/sub", "data/sub")
with tempfile.TemporaryDirectory(dir=".") as directory:
    pathlib.Path(directory, "x").write_text("x")
    print(os.listdir(directory))
with tempfile.TemporaryFile(dir="data") as file:
    file.write(b"anonymous")
    file.seek(0)
    print(file.read())
with zipfile.ZipFile("a.zip", "w") as archive:
    for path in sorted(glob.glob("package/m*.py")):
        archive.writestr(zipfile.ZipInfo(path), open(path).read())
zipfile.ZipFile("a.zip").extractall("unzipped")
print(len(list(pathlib.Path("unzipped").rglob("*.py"))))
for entry in sorted(os.scandir("."), key=lambda e: e.name):
    print(entry.name, entry.is_dir(), entry.inode() == entry.stat(follow_symlinks=False).st_ino)
for directory, subdirectories, files in os.walk("data"):
    subdirectories.sort()
    print(directory, len(files))
fd = os.open("package", os.O_RDONLY)
os.unlink("m2.py", dir_fd=fd)
os.rename("m3.py", "m2.py", src_dir_fd=fd, dst_dir_fd=fd)
print(os.stat("m2.py", dir_fd=fd).st_size, len(os.listdir(fd)))
try:
    os.rmdir("package")
except OSError as error:
    print(error)
X
python3 -B work.py
END
succeeded modules
