#!/usr/bin/env python3
"""Laws about what comes out of the compiler: the preload object exports its table and nothing else, forgets no spelling of a
function, and needs nothing that could fail or be missing in a foreign program; the core needs memory functions alone.

usage: symbols.py SOURCE_DIR OBJECT CORE_ARCHIVE OBJECT_FILES... (of the preload object, without the core)"""
import os
import pathlib
import re
import subprocess
import sys

import headers

root, preload_object, core_archive, files = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
problems = []


def nm(*arguments):
    out = subprocess.run(["nm", *arguments], capture_output=True, text=True, check=True).stdout
    return [line.split() for line in out.split("\n") if line and not line.endswith(":")]


def libc_path():
    out = subprocess.run(["ldd", "/bin/sh"], capture_output=True, text=True, check=True).stdout
    return re.search(r"libc\.so\.6 => (\S+)", out).group(1)


# --- the table, the object, libc ---
table_text = re.sub(r"//.*", "", (root / "preload/interposers.def").read_text())
names = re.findall(r"^IP(?:_NUMBER|_HAND)?\([^,]+?, *(\w+),\s*\(", table_text, re.M)
names += re.findall(r"^IP_ALIAS\((\w+),", table_text, re.M)
table = set(names)
for name in sorted(n for n in table if names.count(n) > 1):
    problems.append(f"{name} stands twice in interposers.def")

exported = {row[-1].split("@")[0] for row in nm("-D", "--defined-only", preload_object)}
for name in sorted(exported - table):
    problems.append(f"{name} is exported and not in interposers.def")
for name in sorted(table - exported):
    problems.append(f"{name} is in interposers.def and not exported")

libc = {}  # name -> versions
for row in nm("-D", "--defined-only", libc_path()):
    name, _, version = row[-1].replace("@@", "@").partition("@")
    if version and name != version:
        libc.setdefault(name, set()).add(version)
public = {name for name, versions in libc.items() if versions != {"GLIBC_PRIVATE"}}

# Exported all the same: name -> reason.
NOT_IN_LIBC = {
    "pidfd_spawn": "glibc 2.39 and later; programs look for it at run time, and there it would start uncovered children",
    "pidfd_spawnp": "likewise",
}
for name in sorted(table - public - set(NOT_IN_LIBC)):
    problems.append(f"{name} is in interposers.def and not in libc")

# --- spellings that were forgotten ---
NO_PATH_INSIDE = "a string that is no path of the file system, or a name that is looked up elsewhere"
OPENED_BY_LIBC = "libc reads its own data file behind it; a wrapper could not change how: left to the supervisor"
SHM = "names below /dev/shm or /dev/mqueue, which no overlay holds"
ALLOWED = {
    # siblings by spelling
    "_IO_fclose": "fclose under its other name: what ours calls in the end",
    "__read": "what ours calls in the end", "__pread64": "what ours calls in the end",
    "__fcntl": "what ours calls in the end",
    "_IO_getline": "another function than getline",
    # functions with a path-like parameter, from the headers
    "basename": NO_PATH_INSIDE, "__xpg_basename": NO_PATH_INSIDE, "dirname": NO_PATH_INSIDE,
    "glob_pattern_p": NO_PATH_INSIDE, "rcmd": NO_PATH_INSIDE,
    "bindtextdomain": OPENED_BY_LIBC,
    "posix_spawn_file_actions_addopen": "recorded; done by our posix_spawn",
    "posix_spawn_file_actions_addchdir_np": "recorded; done by our posix_spawn",
    "forkpty": "a terminal's name comes out", "openpty": "a terminal's name comes out",
    "getfsfile": OPENED_BY_LIBC, "getfsspec": OPENED_BY_LIBC,
    "quotactl": "names a device", "rexec": "a network client; ~/.netrc is read by libc", "rexec_af": "likewise",
    "swapoff": "refused by the kernel for what is no swap area",
    "revoke": "libc has no such call: ENOSYS",
    "sem_open": SHM, "sem_unlink": SHM, "shm_open": SHM, "shm_unlink": SHM, "mq_open": SHM, "mq_unlink": SHM,
    "__mq_open_2": SHM,
    "dlsym": NO_PATH_INSIDE, "dlvsym": NO_PATH_INSIDE,
    "fpathconf": "looks at the descriptor's own file system",
    "ttyname_r": "looks at devices", "__ttyname_r_chk": "looks at devices",
}
NAMES_NOT_PATHS = re.compile(
    r"^(__)?(argp_|get(env|domainname|addrinfo|gr|pw|sp|sg|host|login|net|proto|rpc|serv)|set(env|domainname|hostname|login|netgr)|"
    r"secure_getenv|unsetenv|innetgr|ruserok|iruserok)")


def spellings(name):
    yield from (name + "64", "__" + name, "__" + name + "64", "__" + name + "_chk", "__" + name + "_2", "__" + name + "64_2",
                "_IO_" + name, name + "at", name + "at64", name + "_r", name + "64_r", name + "x")
    if name.endswith("64"):
        yield name[:-2]


for name in sorted(table):
    for other in spellings(name):
        if other in public and other not in table and not ALLOWED.get(other):
            problems.append(f"{name} is wrapped, {other} of libc is not")
for name in sorted(headers.path_functions(os.environ.get("CC", "cc"))):
    if name in public and name not in table and not ALLOWED.get(name) and not NAMES_NOT_PATHS.match(name):
        problems.append(f"{name} of libc takes a path and is not wrapped")

# --- what the object needs ---
MEMORY = {"memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen", "strnlen"}
TEXT = {"strchr", "strrchr", "strstr"}
ALLOCATION = {"malloc", "calloc", "realloc", "free", "strdup"}
STREAM = {"fdopen", "fflush", "fileno", "_IO_fclose"}
SIGNAL_SETS = {"sigaddset", "sigemptyset", "sigismember"}
SPAWN_OBJECTS = {"posix_spawn_file_actions_addclose", "posix_spawn_file_actions_adddup2", "posix_spawn_file_actions_destroy",
                 "posix_spawn_file_actions_init", "posix_spawnattr_destroy", "posix_spawnattr_init", "posix_spawnattr_setflags",
                 "posix_spawnattr_setsigdefault", "posix_spawnattr_setsigmask"}
CLEANUP = {"__pthread_register_cancel", "__pthread_unregister_cancel", "__pthread_unwind_next", "__sigsetjmp"}
EVERYWHERE = MEMORY | TEXT | {"__errno_location", "_GLOBAL_OFFSET_TABLE_"}
# What is more than that is for functions whose counterpart in libc does the same.
BY_FILE = {
    "attach.cc": {"environ", "getauxval"},
    "attributes.cc": {"__chk_fail"},
    "call.cc": {"pthread_setcanceltype"},
    "cwd.cc": ALLOCATION | {"environ", "__chk_fail"},
    "dir.cc": ALLOCATION,
    "dl.cc": ALLOCATION,
    "exec.cc": {"environ", "__environ"},
    "fts.cc": ALLOCATION | {"qsort"},
    "ftw.cc": ALLOCATION,
    "loaded.cc": {"__ehdr_start"},
    "next.cc": {"dlsym"},
    "open.cc": {"__chk_fail"},
    "path.cc": ALLOCATION | {"__chk_fail"},
    "profile.cc": {"environ", "setenv"},
    "read.cc": {"__read", "__pread64", "__chk_fail"},
    "lock.cc": {"__fcntl"},
    "scandir.cc": ALLOCATION | {"qsort"},
    "socket.cc": {"__chk_fail"},
    "shell.cc": ALLOCATION | STREAM | SIGNAL_SETS | SPAWN_OBJECTS | CLEANUP |
                {"environ", "__environ", "sigaction", "sigprocmask", "kill"},
    "spawn.cc": SIGNAL_SETS | {"clone", "pthread_setcancelstate"},
    "stdio.cc": STREAM,
    "temp.cc": ALLOCATION | STREAM | {"environ"},
}
own = set()
for file in files:
    own |= {row[-1] for row in nm("--defined-only", file)}
core_defined = {row[-1] for row in nm("--defined-only", core_archive) if len(row) >= 2}
for file in files:
    source = os.path.basename(file)
    for suffix in (".o", ".obj"):
        source = source.removesuffix(suffix)
    allowed = EVERYWHERE | BY_FILE.get(source, set())
    for row in nm("-u", file):
        name = row[-1].split("@")[0]
        if name not in own and name not in core_defined and name not in allowed and name not in table:
            problems.append(f"{source} needs {name}, which is not on its list")
        if name in table and f"ip_{name}" not in name and not source.endswith(".S"):
            # By their asm labels; they must be our own.
            if name not in own:
                problems.append(f"{source} calls {name} of libc")

NEWEST = (2, 17)
for row in nm("-D", "-u", preload_object):
    name, _, version = row[-1].replace("@@", "@").partition("@")
    numbers = re.fullmatch(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?", version)
    if not numbers:
        problems.append(f"the object needs {row[-1]}, which is no public symbol of glibc")
    elif (int(numbers[1]), int(numbers[2])) > NEWEST:
        problems.append(f"the object needs {row[-1]}, newer than glibc {NEWEST[0]}.{NEWEST[1]}")
    if name in MEMORY | TEXT:
        problems.append(f"the object needs {name} of the program's: memory.cc has its own")
    if re.match(r"__cxa_|_Unwind|_Z", name):
        problems.append(f"the object needs {name}: C++ runtime")

dynamic = subprocess.run(["readelf", "-dW", preload_object], capture_output=True, text=True, check=True).stdout
needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
if needed != ["libc.so.6"]:
    problems.append(f"the object is linked with {needed}, and should be with libc.so.6 alone")
if "TEXTREL" in dynamic:
    problems.append("the object has text relocations")

# --- what the core needs ---
UNOPTIMISED = {"__cxa_pure_virtual", "gnu_dev_major", "gnu_dev_minor", "gnu_dev_makedev"}  # arithmetic that is inlined otherwise
for row in nm("-u", core_archive):
    name = row[-1]
    if len(row) == 2 and name not in core_defined and name not in MEMORY | UNOPTIMISED | {"_GLOBAL_OFFSET_TABLE_"}:
        problems.append(f"the core needs {name}")

print("\n".join(sorted(set(problems))) if problems else "symbols: in order")
sys.exit(1 if problems else 0)
