// Directories: streams, scandir, ftw, nftw, fts, glob.
#include <dirent.h>
#include <fcntl.h>
#include <fts.h>
#include <ftw.h>
#include <glob.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "tests/preload/probe.h"

namespace {

std::vector<std::string> lines;
int stop_at = -1;
int stop_with = 0;

int finish(bool keep_order) {
  if (!keep_order) std::sort(lines.begin(), lines.end());
  for (const std::string& line : lines) puts(line.c_str());
  return 0;
}

std::string describe(const char* path, const struct stat* st, int type) {
  static const char* const kTypes[] = {"F", "D", "DNR", "NS", "SL", "DP", "SLN"};
  std::string line = std::string(path) + " " + kTypes[type];
  if (type != FTW_NS) line += std::string(" ") + type_name(st->st_mode);
  return line;
}

int on_ftw(const char* path, const struct stat* st, int type) {
  lines.push_back(describe(path, st, type));
  return 0;
}

int on_nftw(const char* path, const struct stat* st, int type, struct FTW* ftw) {
  std::string line = describe(path, st, type) + " base " + (path + ftw->base) + " level " +
                     std::to_string(ftw->level);
  struct stat here;
  if (lstat(path + ftw->base, &here) == 0) line += " reachable by name";
  lines.push_back(line);
  if (stop_with != 0 && static_cast<int>(lines.size()) == stop_at) return stop_with;
  return 0;
}

int ftw_command(const Arguments& a) {
  const int r = ftw(a[0].c_str(), on_ftw, 5);
  lines.push_back("result " + std::to_string(r) + " " + (r < 0 ? outcome(r) : ""));
  return finish(false);
}

// nftw PATH FLAGS [STOP_AT STOP_WITH]
int nftw_command(const Arguments& a) {
  if (a.size() > 3) {
    stop_at = atoi(a[2].c_str());
    stop_with = atoi(a[3].c_str());
  }
  char before[4096], after[4096];
  if (getcwd(before, sizeof before) == nullptr) return 1;
  const int r = nftw(a[0].c_str(), on_nftw, 2, atoi(a[1].c_str()));
  if (getcwd(after, sizeof after) == nullptr) return 1;
  lines.push_back(std::string("result ") + std::to_string(r) + " " + (r < 0 ? outcome(r) : ""));
  lines.push_back(strcmp(before, after) == 0 ? "same cwd" : std::string("cwd ") + after);
  return finish(stop_with != 0);
}

int by_name(const FTSENT** a, const FTSENT** b) { return strcmp((*a)->fts_name, (*b)->fts_name); }

// fts OPTIONS ROOT...: in order of names; "skip" is skipped, "link" is followed, NAME "again" is
// seen twice.
int fts_command(const Arguments& a) {
  std::vector<char*> roots;
  for (size_t i = 1; i < a.size(); i++) roots.push_back(const_cast<char*>(a[i].c_str()));
  roots.push_back(nullptr);
  FTS* fts = fts_open(roots.data(), atoi(a[0].c_str()), by_name);
  if (fts == nullptr) {
    printf("fts_open %s\n", outcome(-1).c_str());
    return 0;
  }
  bool again = false;
  errno = 0;
  while (FTSENT* e = fts_read(fts)) {
    printf("%s name %s level %d info %d", e->fts_path, e->fts_name, e->fts_level, e->fts_info);
    printf(" pathlen %zu namelen %zu", strlen(e->fts_path) - e->fts_pathlen,
           strlen(e->fts_name) - e->fts_namelen);
    struct stat st;
    if (e->fts_info != FTS_NS && e->fts_info != FTS_NSOK && e->fts_info != FTS_SLNONE &&
        e->fts_info != FTS_DP)
      printf(" %s", lstat(e->fts_accpath, &st) == 0 ? type_name(st.st_mode) : "not reachable");
    if (e->fts_errno != 0) printf(" errno %d", e->fts_errno);
    if (e->fts_info == FTS_DC) printf(" cycle %s", e->fts_cycle->fts_name);
    puts("");
    if (e->fts_info == FTS_D && strcmp(e->fts_name, "skip") == 0) fts_set(fts, e, FTS_SKIP);
    if (e->fts_info == FTS_SL && strcmp(e->fts_name, "link") == 0) fts_set(fts, e, FTS_FOLLOW);
    if (strcmp(e->fts_name, "again") == 0 && !again) {
      again = true;
      fts_set(fts, e, FTS_AGAIN);
    }
    if (e->fts_info == FTS_D && strcmp(e->fts_name, "children") == 0) {
      for (FTSENT* c = fts_children(fts, e->fts_level % 2 ? FTS_NAMEONLY : 0); c != nullptr;
           c = c->fts_link)
        printf("  child %s\n", c->fts_name);
    }
    errno = 0;
  }
  printf("end %s\n", errno == 0 ? "clean" : outcome(-1).c_str());
  printf("close %s\n", outcome(fts_close(fts)).c_str());
  return 0;
}

int glob_command(const Arguments& a) {
  glob_t found = {};
  int flags = atoi(a[0].c_str());
  for (size_t i = 1; i < a.size(); i++) {
    const int r = glob(a[i].c_str(), flags, nullptr, &found);
    printf("%s: result %d, flags %d\n", a[i].c_str(), r,
           found.gl_flags & (GLOB_APPEND | GLOB_ALTDIRFUNC));
    flags |= GLOB_APPEND;
  }
  for (size_t i = 0; i < found.gl_pathc; i++) puts(found.gl_pathv[found.gl_offs + i]);
  globfree(&found);
  return 0;
}

int not_dots(const struct dirent* e) {
  return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

int scandir_command(const Arguments& a) {
  struct dirent** list = nullptr;
  errno = 0;
  const int n = scandir(a[0].c_str(), &list, not_dots, alphasort);
  printf("%d %s\n", n, n < 0 ? outcome(n).c_str() : "");
  for (int i = 0; i < n; i++) {
    printf("%s %d\n", list[i]->d_name, list[i]->d_type);
    free(list[i]);
  }
  free(list);
  if (n >= 0) printf("errno %d\n", errno);
  return 0;
}

// Every entry's position leads back to it; rewinding starts anew; readdir_r and descriptors agree.
int positions_command(const Arguments& a) {
  DIR* dir = opendir(a[0].c_str());
  if (dir == nullptr) return printf("%s\n", outcome(-1).c_str()), 0;
  std::vector<std::pair<std::string, long>> seen;
  long before = telldir(dir);
  while (struct dirent* e = readdir(dir)) {
    seen.emplace_back(e->d_name, before);
    before = telldir(dir);
  }
  printf("%zu entries\n", seen.size());
  int wrong = 0;
  for (size_t i = seen.size(); i-- > 0;) {
    seekdir(dir, seen[i].second);
    struct dirent* e = readdir(dir);
    if (e == nullptr || seen[i].first != e->d_name) wrong++;
  }
  printf("%d positions lead elsewhere\n", wrong);
  rewinddir(dir);
  size_t again = 0;
  struct dirent storage, *result;
  while (readdir_r(dir, &storage, &result) == 0 && result != nullptr) again++;
  printf("%zu entries again\n", again);
  const int other = dup(dirfd(dir));
  printf("closedir %s\n", outcome(closedir(dir)).c_str());
  lseek(other, 0, SEEK_SET);
  DIR* second = fdopendir(other);
  size_t third = 0;
  while (second != nullptr && readdir(second) != nullptr) third++;
  printf("%zu entries of a duplicate\n", third);
  printf("its number is %s\n", second != nullptr && dirfd(second) == other ? "kept" : "another");
  closedir(second);
  return 0;
}

int opendir_command(const Arguments& a) {
  for (const std::string& path : a) {
    DIR* dir = opendir(path.c_str());
    printf("opendir %s: %s\n", path.c_str(), outcome(dir != nullptr ? 0 : -1).c_str());
    if (dir != nullptr) {
      printf("close on exec %d\n", fcntl(dirfd(dir), F_GETFD));
      closedir(dir);
    }
    const int fd = open(path.c_str(), O_RDONLY);
    dir = fdopendir(fd);
    printf("fdopendir: %s\n", outcome(dir != nullptr ? 0 : -1).c_str());
    if (dir != nullptr)
      closedir(dir);
    else
      close(fd);
    const int path_fd = open(path.c_str(), O_PATH);
    printf("fdopendir of O_PATH: %s\n", fdopendir(path_fd) == nullptr ? outcome(-1).c_str() : "ok");
    close(path_fd);
  }
  printf("closedir(NULL): %s\n", outcome(closedir(nullptr)).c_str());
  return 0;
}

// Removes every entry while reading, as rm -rf does.
int empty_command(const Arguments& a) {
  DIR* dir = opendir(a[0].c_str());
  size_t removed = 0;
  while (struct dirent* e = readdir(dir))
    if (not_dots(e) && unlinkat(dirfd(dir), e->d_name, 0) == 0) removed++;
  closedir(dir);
  printf("removed %zu, rmdir %s\n", removed, outcome(rmdir(a[0].c_str())).c_str());
  return 0;
}

}  // namespace

const Entry kWalkCommands[] = {
    {"ftw", ftw_command},         {"nftw", nftw_command},       {"fts", fts_command},
    {"glob", glob_command},       {"scandir", scandir_command}, {"positions", positions_command},
    {"opendir", opendir_command}, {"empty", empty_command},     {nullptr, nullptr}};
