// Threads that make and remove names, built with a sanitizer whose runtime is in the process too.
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

const char* directory;

void* work(void* number) {
  char path[4096];
  snprintf(path, sizeof path, "%s/made-%ld", directory, reinterpret_cast<long>(number));
  for (int i = 0; i < 50; i++) {
    struct stat st;
    close(open(path, O_CREAT | O_WRONLY, 0600));
    if (stat(path, &st) != 0) puts("a file is missing");
    DIR* dir = opendir(directory);
    while (readdir(dir) != nullptr) continue;
    closedir(dir);
    unlink(path);
  }
  return nullptr;
}

}  // namespace

int main(int, char** argv) {
  directory = argv[1];
  pthread_t threads[3];
  for (long i = 0; i < 3; i++)
    pthread_create(&threads[i], nullptr, work, reinterpret_cast<void*>(i));
  for (pthread_t thread : threads) pthread_join(thread, nullptr);
  puts("done");
  return 0;
}
