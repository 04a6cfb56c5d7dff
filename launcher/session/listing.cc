// See listing.h.
#include "launcher/session/listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "core/sys/sys.h"
#include "launcher/failure.h"

namespace ovl {

std::vector<RealEntry> real_entries(const std::string& dir) {
  std::vector<RealEntry> all;
  Result<UniqueFd> fd = sys_openat(CStr(dir.c_str(), dir.size()), O_RDONLY | O_DIRECTORY);
  if (!fd.ok()) fail("{}: {}", quote(dir), error_text(fd.error()));
  std::vector<char> records(64 * 1024);
  for (;;) {
    const Result<size_t> size = sys_getdents64(fd.value().get(), records.data(), records.size());
    if (!size.ok()) fail("{}: {}", quote(dir), error_text(size.error()));
    if (size.value() == 0) return all;
    for (size_t at = 0; at < size.value();) {
      const auto* record = reinterpret_cast<const KernelDirent*>(records.data() + at);
      at += record->d_reclen;
      const std::string name = record->d_name;
      if (name == "." || name == "..") continue;
      bool is_dir = record->d_type == DT_DIR;
      if (record->d_type == DT_UNKNOWN) {
        StatX st;
        const std::string path = dir + "/" + name;
        is_dir = sys_lstat(CStr(path.c_str(), path.size()), &st).ok() && S_ISDIR(st.stx_mode);
      }
      all.push_back({name, is_dir});
    }
  }
}

}  // namespace ovl
