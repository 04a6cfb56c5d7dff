// execve, execveat: programs and scripts of the tree, what they see, what is refused.
#include <string.h>
#include <sys/auxv.h>

#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

// This binary, when a test has executed a copy of it to hear what it is called.
__attribute__((constructor)) void tell_name() {
  if (getenv("EXEC_TEST_TELL_NAME") == nullptr) return;
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  printf("%s\n", reinterpret_cast<const char*>(getauxval(AT_EXECFN)));
  fflush(stdout);
  _exit(0);
}

class Exec : public Tree {
 protected:
  struct Result {
    int status;  // exit status; 200 + errno when the call failed
    std::string output;
  };
  static constexpr int kFailed = 200;

  // Runs `call` (which is to execute something) in a child and reads what it prints.
  template <class Call>
  static Result run(Call call) {
    int out[2];
    if (pipe(out) < 0) abort();
    fflush(nullptr);
    pid_t child = fork();
    if (child == 0) {
      dup2(out[1], 1);
      close(out[0]);
      close(out[1]);
      call();
      _exit(kFailed + (errno < 50 ? errno : 50));
    }
    close(out[1]);
    Result result;
    result.output = read_all(out[0]);
    close(out[0]);
    int status = 0;
    waitpid(child, &status, 0);
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
  }

  static Result run_program(const std::string& path, std::vector<std::string> arguments = {},
                            char** environment = environ) {
    std::vector<char*> argv = {const_cast<char*>(path.c_str())};
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    return run([&] { t_execve(path.c_str(), argv.data(), environment); });
  }

  static Result shell(const std::string& command, char** environment = environ) {
    return run_program("/bin/sh", {"-c", command}, environment);
  }

  // A copy of an installed program, which is then in the upper.
  static void install(const char* program, const std::string& path) {
    Fd from(open(program, O_RDONLY));
    write_file(path, read_all(from));
    ASSERT_OK(t_chmod(path.c_str(), 0755));
  }
};

TEST_F(Exec, AProgramGivenToTheDynamicLoader) {
  const std::string loader = "/lib64/ld-linux-x86-64.so.2";
  if (access(loader.c_str(), X_OK) != 0) GTEST_SKIP() << "no " << loader;
  install("/bin/sh", "mysh");
  ASSERT_OK(t_chmod("mysh", 0644));  // which it does not ask for
  for (const std::string& name : {std::string("./mysh"), cwd() + "/mysh"}) {
    EXPECT_EQ(0, run_program(loader, {"--verify", name}).status) << name;
    EXPECT_EQ(name + "\n", run_program(loader, {name, "-c", "echo $0"}).output);
    EXPECT_EQ("other\n", run_program(loader, {"--argv0", "other", name, "-c", "echo $0"}).output);
  }
}

TEST_F(Exec, AScript) {
  EXPECT_EQ("script ./script one two\n", run_program("./script", {"one", "two"}).output);
  EXPECT_EQ("script " + cwd() + "/script \n", run_program(cwd() + "/script").output);
  EXPECT_EQ(0, run_program("./script").status);
  ASSERT_OK(t_symlink("../script", "dir/tool"));
  EXPECT_EQ("script dir/tool x\n", run_program("dir/tool", {"x"}).output);
}

TEST_F(Exec, AScriptThatWasChangedOrMade) {
  append_to("script", "echo more\n");
  EXPECT_EQ("script ./script \nmore\n", run_program("./script").output);
  write_file("dir/made", "#!/bin/sh -e\necho made $1\n");
  ASSERT_OK(t_chmod("dir/made", 0755));
  EXPECT_EQ("made it\n", run_program("dir/made", {"it"}).output);
  ASSERT_OK(t_rename("dir", "moved"));
  EXPECT_EQ("made it\n", run_program("moved/made", {"it"}).output);
}

TEST_F(Exec, AProgramOfTheUpper) {
  install("/bin/echo", "dir/myecho");
  EXPECT_EQ("a b\n", run_program("dir/myecho", {"a", "b"}).output);
  ASSERT_OK(t_chdir("dir"));
  EXPECT_EQ("a b\n", run_program("./myecho", {"a", "b"}).output);
  EXPECT_EQ("a b\n", run_program("../dirlink/myecho", {"a", "b"}).output);
}

TEST_F(Exec, AnInterpreterOfTheUpper) {
  install("/bin/sh", "dir/mysh");
  write_file("run", "#!" + cwd() + "/dir/mysh\ncat file; echo $0\n");
  ASSERT_OK(t_chmod("run", 0755));
  EXPECT_EQ("hello lower\n./run\n", run_program("./run").output);
}

TEST_F(Exec, AScriptWhoseInterpreterIsAScript) {
  write_file("outer", "#!" + cwd() + "/script outer-argument\n");
  ASSERT_OK(t_chmod("outer", 0755));
  EXPECT_EQ("script " + cwd() + "/script outer-argument ./outer x\n",
            run_program("./outer", {"x"}).output);
}

TEST_F(Exec, TheProgramSeesTheTree) {
  append_to("file", "more\n");
  ASSERT_OK(t_unlink("other"));
  write_file("new", "new\n");
  EXPECT_EQ("hello lower\nmore\nnew\n", shell("cat file new; test ! -e other").output);
  EXPECT_EQ(0, shell("echo from child >child; mkdir d; echo 2 >>file; rm dir/a").status);
  EXPECT_EQ("from child\n", content_of("child"));
  EXPECT_EQ("hello lower\nmore\n2\n", content_of("file"));
  EXPECT_FALSE(exists("dir/a"));
}

TEST_F(Exec, StartsInTheSameDirectory) {
  const std::string top = cwd();
  ASSERT_OK(t_mkdir("dir/new", 0755));
  for (const char* directory : {"dir/sub", "../new", "../../dirlink"}) {
    ASSERT_OK(t_chdir(directory));
    EXPECT_EQ(cwd() + "\n", shell("/bin/pwd").output);
  }
  ASSERT_OK(t_rename((top + "/dir").c_str(), (top + "/moved").c_str()));
  EXPECT_EQ(top + "/moved\n", shell("/bin/pwd").output);
  EXPECT_EQ("a\n", shell("cat a").output);
}

TEST_F(Exec, WithAnotherEnvironment) {
  append_to("file", "more\n");
  char one[] = "ONE=1";
  char* environment[] = {one, nullptr};
  char* empty[] = {nullptr};
  EXPECT_EQ("hello lower\nmore\n1\n", shell("/bin/cat file; echo $ONE", environment).output);
  EXPECT_EQ("hello lower\nmore\n", shell("/bin/cat file", empty).output);
  EXPECT_EQ("hello lower\nmore\n", shell("/bin/cat file", nullptr).output);
  EXPECT_EQ("hello lower\nmore\n", shell("exec /usr/bin/env -i /bin/sh -c '/bin/cat file'").output);
  EXPECT_EQ("hello lower\nmore\n", shell("unset LD_PRELOAD; /bin/cat file").output);
}

TEST_F(Exec, KeepsOpenDescriptorsAndNothingElse) {
  Fd lower(t_open("file", O_RDONLY)), closing(t_open("dir/a", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ("hello lower\n", shell("cat <&" + std::to_string(lower)).output);
  EXPECT_NE(0, shell("cat 2>/dev/null <&" + std::to_string(closing)).status);
}

TEST_F(Exec, TheZerothArgumentIsTheCallers) {
  char name[] = "any name", dash_c[] = "-c", command[] = "echo $0";
  char* argv[] = {name, dash_c, command, nullptr};
  EXPECT_EQ("any name\n", run([&] { t_execve("/bin/sh", argv, environ); }).output);
  install("/bin/sh", "mysh");
  EXPECT_EQ("any name\n", run([&] { t_execve("./mysh", argv, environ); }).output);
}

TEST_F(Exec, ByDescriptor) {
  char name[] = "name", argument[] = "x";
  char* argv[] = {name, argument, nullptr};
  Fd dir(t_open("dir", O_PATH));
  ASSERT_OK(t_rename("script", "dir/script"));
  EXPECT_EQ(0, run([&] { t_execveat(dir, "script", argv, environ, 0); }).status);
  EXPECT_EQ("script " + cwd() + "/dir/script x\n",
            run([&] { t_execveat(-1, (cwd() + "/dir/script").c_str(), argv, environ, 0); }).output);
  install("/bin/echo", "myecho");
  Fd program(t_open("myecho", O_PATH));
  EXPECT_EQ("x\n", run([&] { t_execveat(program, "", argv, environ, AT_EMPTY_PATH); }).output);
  Fd readable(t_open("myecho", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ("x\n", run([&] { t_execveat(readable, "", argv, environ, AT_EMPTY_PATH); }).output);
  ASSERT_OK(t_symlink("myecho", "link"));
  EXPECT_EQ(kFailed + ELOOP,
            run([&] { t_execveat(AT_FDCWD, "link", argv, environ, AT_SYMLINK_NOFOLLOW); }).status);
  EXPECT_EQ(kFailed + EBADF, run([&] { t_execveat(-1, "link", argv, environ, 0); }).status);
  EXPECT_EQ(kFailed + EINVAL,
            run([&] { t_execveat(AT_FDCWD, "link", argv, environ, 0x40000000); }).status);
}

TEST_F(Exec, AScriptByDescriptor) {
  char name[] = "name", argument[] = "x";
  char* argv[] = {name, argument, nullptr};
  for (int flags : {O_RDONLY, O_PATH}) {
    Fd script(t_open("script", flags));
    const std::string path = "/dev/fd/" + std::to_string(script);
    EXPECT_EQ("script " + path + " x\n",
              run([&] { t_execveat(script, "", argv, environ, AT_EMPTY_PATH); }).output)
        << flags;
  }
  Fd dir(t_open(".", O_PATH));
  EXPECT_EQ("script /dev/fd/" + std::to_string(dir) + "/script x\n",
            run([&] { t_execveat(dir, "script", argv, environ, 0); }).output);
  // Its interpreter could not open it.
  Fd closed(t_open("script", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(kFailed + ENOENT,
            run([&] { t_execveat(closed, "", argv, environ, AT_EMPTY_PATH); }).status);
  Fd closed_dir(t_open(".", O_PATH | O_CLOEXEC));
  EXPECT_EQ(kFailed + ENOENT,
            run([&] { t_execveat(closed_dir, "script", argv, environ, 0); }).status);
}

TEST_F(Exec, Refuses) {
  const std::pair<const char*, int> cases[] = {
      {"nothing", ENOENT},  {"", ENOENT},        {"dangling", ENOENT},  {"notexecutable", EACCES},
      {"dir", EACCES},      {"fifo", EACCES},    {"noheader", ENOEXEC}, {"badinterpreter", ENOENT},
      {"script/", ENOTDIR}, {"file/x", ENOTDIR}, {"loop", ELOOP}};
  for (auto [path, error] : cases) EXPECT_EQ(kFailed + error, run_program(path).status) << path;
  EXPECT_EQ(kFailed + ENAMETOOLONG, run_program(kLongName + "x").status);
  ASSERT_OK(t_unlink("script"));
  EXPECT_EQ(kFailed + ENOENT, run_program("script").status);
  write_file("emptyfile", "");
  ASSERT_OK(t_chmod("emptyfile", 0755));
  EXPECT_EQ(kFailed + ENOEXEC, run_program("emptyfile").status);
  ASSERT_OK(t_chmod("noheader", 0644));
  EXPECT_EQ(kFailed + EACCES, run_program("noheader").status);
}

TEST_F(Exec, ScriptsWithoutAHeaderRunFromShells) {
  EXPECT_EQ("no header x\n", shell("./noheader x").output);
#ifndef USE_SYSCALL
  if (!other_libc()) {  // musl leaves that to shells
    EXPECT_EQ("no header y\n", run([&] { execlp("./noheader", "noheader", "y", nullptr); }).output);
  }
#endif
}

TEST_F(Exec, AFileThatIsBeingWrittenIsBusy) {
  install("/bin/echo", "myecho");
  Fd writer(t_open("myecho", O_RDWR));
  EXPECT_EQ(kFailed + ETXTBSY, run_program("./myecho").status);
}

TEST_F(Exec, TheProgramIsToldWhatItWasCalled) {
  install("/proc/self/exe", "dir/self");
  const std::string outside = target_of("/proc/self/exe");
  write_file("named", "#!" + cwd() + "/dir/self\n");
  write_file("of-outside", "#!" + outside + "\n");
  for (const char* script : {"named", "of-outside"}) ASSERT_OK(t_chmod(script, 0755));
  ASSERT_OK(t_symlink("dir/self", "link"));
  ASSERT_OK(t_mkdir("new", 0755));
  ASSERT_OK(t_mkdir(("new/" + kLongName).c_str(), 0755));
  const std::string detour = "./new/" + kLongName + "/../../dir/self";
  char tell[] = "EXEC_TEST_TELL_NAME=1";
  char* environment[] = {tell, nullptr};
  const auto told = [&](const std::vector<std::string>& names) {
    for (const std::string& name : names)
      EXPECT_EQ(name + "\n", run_program(name, {}, environment).output);
  };
  told({"dir/self", "./dir//self", cwd() + "/dir/self", "link", "./named", "named", "of-outside",
        detour, outside});
  ASSERT_OK(t_chdir("new"));
  told({"../dir/self", "../named", "../of-outside"});
}

TEST_F(Exec, TellsItsPath) {
  install("/bin/readlink", "dir/myreadlink");
  EXPECT_EQ(cwd() + "/dir/myreadlink\n", run_program("dir/myreadlink", {"/proc/self/exe"}).output);
}

}  // namespace
}  // namespace syscalls
