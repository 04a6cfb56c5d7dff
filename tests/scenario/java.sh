#!/bin/bash
# Shows that javac and java compile and run a program in a merged tree, whose files it walks, copies, locks, maps and removes as in a
# plain one.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
need javac java
unset "${!JAVA_@}" "${!JDK_@}" _JAVA_OPTIONS CLASSPATH

mkdir -p tree/data/{a/b/c,d} tree/src/org/example
for i in {1..20}; do echo "content $i" >"tree/data/a/file$i"; done
ln -s ../a/file1 tree/data/d/link
cat >tree/src/org/example/Helper.java <<'X'
package org.example;

class Helper {
  static String greeting() { return "hello"; }
}
X
cat >tree/src/org/example/Main.java <<'X'
package org.example;

import java.io.*;
import java.net.*;
import java.nio.*;
import java.nio.channels.*;
import java.nio.file.*;
import java.nio.file.attribute.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;

public class Main {
  static void show(Path top) throws IOException {
    try (Stream<Path> all = Files.walk(top)) {
      for (Path path : all.sorted().collect(Collectors.toList())) {
        PosixFileAttributes facts = Files.readAttributes(path, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
        System.out.println(path + " " + PosixFilePermissions.toString(facts.permissions()) + " "
            + (facts.isRegularFile() ? facts.size() + " " + Files.readAllLines(path).hashCode() : facts.isDirectory() + " " + facts.isSymbolicLink()));
      }
    }
  }

  interface Action { void run() throws Exception; }

  static void tell(String name, Action action) {
    try {
      action.run();
      System.out.println(name + " ok");
    } catch (Exception e) {
      System.out.println(name + " " + e.getClass().getSimpleName());
    }
  }

  public static void main(String[] args) throws Exception {
    System.out.println(Helper.greeting() + " " + System.getProperty("user.dir") + " " + Path.of("").toRealPath());
    Path data = Path.of("data");
    show(data);
    Files.move(data.resolve("a/b"), data.resolve("moved"));
    Files.copy(data.resolve("a/file1"), data.resolve("copy"), StandardCopyOption.COPY_ATTRIBUTES);
    Files.move(data.resolve("a/file2"), data.resolve("a/file3"), StandardCopyOption.ATOMIC_MOVE);
    Files.writeString(data.resolve("a/file4"), "appended\n", StandardOpenOption.APPEND);
    Files.createLink(data.resolve("hard"), data.resolve("a/file5"));
    Files.createSymbolicLink(data.resolve("soft"), Path.of("a/file6"));
    Files.setPosixFilePermissions(data.resolve("a/file7"), PosixFilePermissions.fromString("rw-r-----"));
    Files.setLastModifiedTime(data.resolve("a/file8"), FileTime.fromMillis(123456789000L));
    System.out.println(Files.getLastModifiedTime(data.resolve("a/file8")) + " " + Files.getAttribute(data.resolve("hard"), "unix:nlink") + " "
        + data.resolve("soft").toRealPath().getFileName() + " " + Files.isSameFile(data.resolve("hard"), data.resolve("a/file5")));
    tell("absent", () -> Files.delete(data.resolve("a/file2")));
    tell("full", () -> Files.delete(data.resolve("a")));
    tell("exists", () -> Files.createDirectory(data.resolve("a")));
    tell("atomic", () -> Files.move(data.resolve("copy"), data.resolve("a"), StandardCopyOption.ATOMIC_MOVE));
    try (RandomAccessFile file = new RandomAccessFile("data/a/file9", "rw"); FileChannel channel = file.getChannel(); FileLock lock = channel.lock()) {
      MappedByteBuffer map = channel.map(FileChannel.MapMode.READ_WRITE, 0, 20);
      map.put("mapped".getBytes());
      map.force();
      System.out.println(lock.isValid() + " " + channel.size());
    }
    ExecutorService pool = Executors.newFixedThreadPool(6);
    List<Future<?>> all = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      String name = "data/d/made" + i;
      all.add(pool.submit(() -> {
        Files.writeString(Path.of(name + ".new"), name);
        return Files.move(Path.of(name + ".new"), Path.of(name));
      }));
    }
    for (Future<?> one : all) one.get();
    pool.shutdown();
    System.out.println(new File("data/d").list().length);
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(data.resolve("d"), "made1*")) {
      for (Path path : stream) Files.delete(path);
    }
    File temporary = File.createTempFile("made", "x", new File("data"));
    System.out.println(temporary.length() + " " + temporary.delete());
    for (String directory : new String[] {".", "data/moved"}) {
      Process child = new ProcessBuilder("sh", "-c", "pwd; ls; exit 3").directory(new File(directory)).redirectErrorStream(true).start();
      System.out.println(new String(child.getInputStream().readAllBytes()) + child.waitFor());
    }
    show(data);
  }
}
X

# The archive of shared classes is looked for where java is installed; what it writes about performance goes to /tmp.
export JDK_JAVA_OPTIONS='-XX:-UsePerfData -XX:TieredStopAtLevel=1 -Xmx256m'
same java <<'END'
set -e
javac -d classes $(find src -name '*.java' | sort) 2>&1 | grep -v 'Picked up\|^NOTE' || :
find classes -type f | sort
java -cp classes org.example.Main 2>&1 | grep -v 'Picked up\|^NOTE'
jar --create --file app.jar --main-class org.example.Main -C classes . 2>&1 | grep -v 'Picked up\|^NOTE' || :
rm -r classes
java -jar app.jar 2>&1 | grep -v 'Picked up\|^NOTE' | head -n 2
rm app.jar
END
succeeded java
