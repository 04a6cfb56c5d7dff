// What a program sees of itself: environment, loaded objects, sockets.
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

#include "tests/preload/probe.h"

namespace {

// Anything of ours in the environment, by any way of looking.
int environment_command(const Arguments&) {
  std::vector<std::string> seen;
  for (char** e = environ; *e != nullptr; e++)
    if (strstr(*e, "OVLRUN") != nullptr || strstr(*e, "libovlrun") != nullptr ||
        strncmp(*e, "LD_", 3) == 0)
      seen.push_back(*e);
  for (const std::string& entry : seen) printf("environ: %s\n", entry.c_str());
  for (const char* name : {"LD_PRELOAD", "OVLRUN_SESSION", "LD_LIBRARY_PATH"})
    printf("getenv %s: %s\n", name, getenv(name) != nullptr ? getenv(name) : "-");
  FILE* f = fopen("/proc/self/environ", "r");
  std::string bytes;
  for (int c; (c = fgetc(f)) != EOF;) bytes += static_cast<char>(c);
  fclose(f);
  printf("/proc/self/environ: %s\n",
         bytes.find("ovlrun") == std::string::npos && bytes.find("OVLRUN") == std::string::npos
             ? "clean"
             : "not clean");
  return 0;
}

// dlopen PATH... : each object has the function `answer`.
int dlopen_command(const Arguments& a) {
  for (const std::string& path : a) {
    void* object = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    printf("%s: ", path.c_str());
    if (object == nullptr) {
      puts(strstr(dlerror(), "cannot open shared object file") != nullptr ? "absent" : "refused");
      continue;
    }
    auto answer = reinterpret_cast<int (*)()>(dlsym(object, "answer"));
    printf("answer %d", answer != nullptr ? answer() : -1);
    printf(", again the same %d", dlopen(path.c_str(), RTLD_NOW) == object);
    void* other = dlmopen(LM_ID_NEWLM, path.c_str(), RTLD_NOW);
    printf(", in a name space of its own %d\n", other != nullptr && other != object);
  }
  printf("main program %d\n", dlopen(nullptr, RTLD_NOW) != nullptr);
  printf("by name %d\n", dlopen("libm.so.6", RTLD_NOW) != nullptr);
  return 0;
}

// socket DIR: a server and a client meet at a path; the names are the program's.
int socket_command(const Arguments& a) {
  const std::string path = a[0] + "/socket";
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
  printf("bind %s\n",
         outcome(bind(server, reinterpret_cast<sockaddr*>(&address), sizeof address)).c_str());
  printf("bind again %s\n",
         outcome(bind(client, reinterpret_cast<sockaddr*>(&address), sizeof address)).c_str());
  listen(server, 1);
  printf("connect %s\n",
         outcome(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address)).c_str());
  for (auto look : {&getsockname, &getpeername}) {
    sockaddr_un name = {};
    socklen_t size = sizeof name;
    const int r =
        look(look == &getsockname ? server : client, reinterpret_cast<sockaddr*>(&name), &size);
    printf("name %s", outcome(r).c_str());
    // Of a relative path the kernel keeps the words, which are not the overlay's to keep.
    if (path[0] == '/') printf(", the program's own %d", path == name.sun_path);
    puts("");
  }
  struct stat st;
  printf("type %o\n", stat(path.c_str(), &st) == 0 ? st.st_mode & S_IFMT : 0);
  const int receiver = socket(AF_UNIX, SOCK_DGRAM, 0), sender = socket(AF_UNIX, SOCK_DGRAM, 0);
  const std::string datagrams = a[0] + "/datagrams";
  memcpy(address.sun_path, datagrams.c_str(), datagrams.size() + 1);
  printf("bind %s\n",
         outcome(bind(receiver, reinterpret_cast<sockaddr*>(&address), sizeof address)).c_str());
  printf("sendto %s\n",
         outcome(sendto(sender, "a", 1, 0, reinterpret_cast<sockaddr*>(&address), sizeof address))
             .c_str());
  iovec part = {const_cast<char*>("bc"), 2};
  mmsghdr messages[2] = {};
  for (mmsghdr& m : messages) {
    m.msg_hdr.msg_name = &address;
    m.msg_hdr.msg_namelen = sizeof address;
    m.msg_hdr.msg_iov = &part;
    m.msg_hdr.msg_iovlen = 1;
  }
  printf("sendmsg %s\n", outcome(sendmsg(sender, &messages[0].msg_hdr, 0)).c_str());
  printf("sendmmsg %d\n", sendmmsg(sender, messages, 2, 0));
  char buffer[8];
  for (int i = 0; i < 4; i++)
    printf("received %zd\n", recv(receiver, buffer, sizeof buffer, MSG_DONTWAIT));
  unlink(path.c_str());
  unlink(datagrams.c_str());
  return 0;
}

}  // namespace

const Entry kProgramCommands[] = {{"environment", environment_command},
                                  {"dlopen", dlopen_command},
                                  {"socket", socket_command},
                                  {nullptr, nullptr}};
