#!/bin/bash
# Shows that go (programs without libc's calls, with threads that come and go) builds, vets and tests a module in a merged tree, and that
# what it built walks, renames, removes, locks and runs programs there as in a plain one.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
need go
need_supervisor
unset "${!GO@}" "${!CGO@}"
export GOFLAGS=-buildvcs=false GOPROXY=off GOTOOLCHAIN=local GOTELEMETRY=off GOCACHE=$HOME/cache

mkdir -p tree/{trees,cmd/tool,data/{one/two/three,four}}
for i in {1..25}; do echo "content $i" >"tree/data/one/file$i"; done
cp tree/data/one/file* tree/data/one/two/three/
ln -s ../one/file1 tree/data/four/link
cat >tree/go.mod <<'X'
module example.org/tool

go 1.19
X
cat >tree/trees/trees.go <<'X'
// Package trees does things to trees.
package trees

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"sync"
)

// List gives a line for each object below the directory.
func List(directory string) ([]string, error) {
	var lines []string
	err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		line := entry.Type().String() + " " + path
		if entry.Type().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %x", sha256.Sum256(content))
		}
		lines = append(lines, line)
		return nil
	})
	return lines, err
}

// Touch makes the files by many goroutines at once.
func Touch(directory string, count int) error {
	var group sync.WaitGroup
	failures := make(chan error, count)
	for i := 0; i < count; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			name := filepath.Join(directory, fmt.Sprint("made", i))
			if err := os.WriteFile(name+".new", []byte(name), 0o640); err != nil {
				failures <- err
			} else if err := os.Rename(name+".new", name); err != nil {
				failures <- err
			}
		}(i)
	}
	group.Wait()
	close(failures)
	return <-failures
}

// Names are those in the directory.
func Names(directory string) ([]string, error) {
	file, err := os.Open(directory)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	names, err := file.Readdirnames(-1)
	sort.Strings(names)
	return names, err
}
X
cat >tree/trees/trees_test.go <<'X'
package trees

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestTouch(t *testing.T) {
	directory := t.TempDir()
	if err := Touch(directory, 100); err != nil {
		t.Fatal(err)
	}
	names, err := Names(directory)
	if err != nil || len(names) != 100 {
		t.Fatal(names, err)
	}
}

func TestHere(t *testing.T) {
	wd, err := os.Getwd()
	if err != nil || filepath.Base(wd) != "trees" {
		t.Fatal(wd, err)
	}
	if err := Touch(".", 10); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("made3"); err != nil {
		t.Fatal(err)
	}
	made, _ := filepath.Glob("made*")
	for _, name := range made {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat("made3"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

func BenchmarkList(b *testing.B) {
	for i := 0; i < b.N; i++ {
		if _, err := List("../data"); err != nil {
			b.Fatal(err)
		}
	}
}
X
cat >tree/cmd/tool/main.go <<'X'
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"example.org/tool/trees"
)

func check(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func show(name string, err error) { fmt.Println(name, err) }

func main() {
	wd, err := os.Getwd()
	check(err)
	fmt.Println("here", wd)
	if len(os.Args) > 1 {
		real, err := syscall.Getwd()
		check(err)
		fmt.Println("child", os.Args[1:], filepath.Base(os.Args[0]), real == wd)
		os.Exit(3)
	}
	lines, err := trees.List("data")
	check(err)
	fmt.Println(strings.Join(lines, "\n"))

	check(os.Rename("data/one/two", "data/moved"))
	check(os.Rename("data/one/file2", "data/one/file3"))
	check(os.RemoveAll("data/four"))
	check(os.MkdirAll("data/four/a/b/c", 0o750))
	check(trees.Touch("data/four/a", 60))
	check(os.Symlink("a", "data/four/link"))
	check(os.Link("data/one/file4", "data/four/hard"))
	check(os.Chmod("data/one/file5", 0o600))
	check(os.Truncate("data/one/file6", 3))
	show("absent", os.Remove("data/one/file2"))
	show("full", os.Remove("data/one"))
	show("directory", os.Mkdir("data/one", 0o755))
	_, err = os.ReadFile("data/none/such")
	show("none", err)

	file, err := os.OpenFile("data/one/file7", os.O_RDWR|os.O_APPEND, 0)
	check(err)
	check(syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
	_, err = file.WriteString("more\n")
	check(err)
	_, err = file.Seek(0, io.SeekStart)
	check(err)
	content, err := io.ReadAll(file)
	check(err)
	fmt.Printf("%q\n", content)
	check(file.Close())

	temporary, err := os.MkdirTemp("data", "temporary")
	check(err)
	check(os.WriteFile(temporary+"/x", nil, 0o644))
	check(os.RemoveAll(temporary))

	check(os.Chdir("data/four/link"))
	wd, err = os.Getwd()
	check(err)
	fmt.Println(wd)
	names, err := trees.Names(".")
	check(err)
	fmt.Println(len(names), names[0])
	check(os.Chdir("../../.."))

	// Programs: in other directories, by relative names, from pipes.
	self, err := os.Executable()
	check(err)
	fmt.Println("self", self)
	for _, directory := range []string{"", "data/one", "data/four/a/b"} {
		command := exec.Command(self, "argument", directory)
		command.Dir = directory
		output, err := command.CombinedOutput()
		fmt.Printf("%s %v\n", output, err)
	}
	command := exec.Command("sh", "-c", "pwd; cat file7; ls | wc -l")
	command.Dir = "data/one"
	output, err := command.Output()
	fmt.Printf("%s %v\n", output, err)
	command = exec.Command("./script", "x")
	command.Dir = "data/one"
	check(os.WriteFile("data/one/script", []byte("#!/bin/sh\necho script $0 $1; pwd\n"), 0o755))
	output, err = command.CombinedOutput()
	fmt.Printf("%s %v\n", output, err)
	show("program", exec.Command("./data/none").Run())

	listener, err := net.Listen("unix", "data/socket")
	check(err)
	go func() {
		connection, err := listener.Accept()
		check(err)
		fmt.Fprintln(connection, "through the socket")
		check(connection.Close())
	}()
	connection, err := net.Dial("unix", "data/socket")
	check(err)
	content, err = io.ReadAll(connection)
	check(err)
	fmt.Printf("%s", content)
	check(listener.Close())
	lines, err = trees.List("data")
	check(err)
	fmt.Println(strings.Join(lines, "\n"))
}
X

# Go notes inode numbers and times of nothing in what it builds.
same go <<'END'
set -e
go version
go vet ./...
go build -o tool ./cmd/tool
./tool
(cd data/one && go run example.org/tool/cmd/tool a b || echo "$?") 2>&1
rm tool
go test -count=1 ./... | sed 's/[0-9.]*s$//'
go test -run TestHere -v ./trees | sed 's/([0-9.]*s)//; s/[0-9.]*s$//'
go test -run none -bench . -benchtime 20x ./trees | grep -c ^BenchmarkList
go list ./...
gofmt -l . ; go fmt ./...
go clean ./...
END
succeeded go
