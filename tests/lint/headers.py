"""Which functions of libc take a path, read off its own headers: the parameters' names tell."""
import re
import subprocess

HEADERS = """aio.h dirent.h dlfcn.h fcntl.h fstab.h fts.h ftw.h glob.h libgen.h libintl.h link.h locale.h mntent.h mqueue.h netdb.h
nl_types.h pty.h pwd.h grp.h shadow.h gshadow.h resolv.h sched.h search.h semaphore.h spawn.h stdio.h stdlib.h string.h time.h ttyent.h
unistd.h utime.h utmp.h utmpx.h wordexp.h iconv.h error.h err.h getopt.h argp.h execinfo.h sys/acct.h sys/epoll.h sys/fanotify.h
sys/file.h sys/fsuid.h sys/inotify.h sys/ioctl.h sys/ipc.h sys/mman.h sys/mount.h sys/quota.h sys/sendfile.h sys/shm.h
sys/socket.h sys/stat.h sys/statfs.h sys/statvfs.h sys/swap.h sys/syscall.h sys/time.h sys/timex.h sys/uio.h sys/un.h sys/wait.h
sys/xattr.h""".split()

PATHLIKE = re.compile(
    r"(const )?char ?\* ?(const ?\* ?)?_*"
    r"(file|path|filename|file_name|pathname|name|dirname|dir|template|from|to|old|new|oldpath|newpath|oldname|newname|special_file|"
    r"specialfile|dirpath|source|target|library|pattern|command|words|cat_name|wtmp_file|special|dirp)"
    r"(?![a-z_0-9])")


def path_functions(compiler):
    text = "#define _GNU_SOURCE 1\n" + "".join(
        f"#if __has_include(<{header}>)\n#include <{header}>\n#endif\n" for header in HEADERS)
    out = subprocess.run([compiler, "-E", "-P", "-D_FORTIFY_SOURCE=2", "-O2", "-x", "c", "-"], input=text, capture_output=True,
                         text=True, check=True).stdout
    out = re.sub(r"\s+", " ", out)
    out = re.sub(r"__(restrict|extension__)", "", out)
    found = {}
    for match in re.finditer(r"\bextern ([^;{}]*?)\b([A-Za-z_][A-Za-z0-9_]*) ?(\([^;{}]*)[;{]", out):
        name, rest = match.group(2), match.group(3)
        renamed = re.search(r'__asm__ \("" "([^"]+)"\)', rest)
        parameters = rest.split("__attribute__")[0].split("__asm__")[0]
        parameters = re.sub(r" +", " ", parameters.replace("*", " *")).replace("* ", "*").replace(" *", "*")
        parameters = re.sub(r"char\*+", lambda m: "char" + "*" * (len(m.group(0)) - 4), parameters)
        if PATHLIKE.search(parameters.replace("char*", "char *").replace("char **", "char **")):
            found[renamed.group(1) if renamed else name] = parameters.strip()
    return found


if __name__ == "__main__":
    for function, parameters in sorted(path_functions("cc").items()):
        print(function, parameters)
