// See trace_text.h.
#include "launcher/process/trace_text.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "core/ops/ops.h"
#include "core/trace/trace.h"
#include "launcher/failure.h"

namespace ovl {
namespace {

const char* call_name(long number) {
  switch (number) {
#define OVL_OP(name, status, ...) \
  case SYS_##name:                \
    return #name;
#define OVL_LEGACY(name, target, ...)
#define OVL_NATIVE(name, why)
#define OVL_REFUSE(name, code, why)
#include "core/ops/ops.def"
#undef OVL_OP
#undef OVL_LEGACY
#undef OVL_NATIVE
#undef OVL_REFUSE
    default:
      return "?";
  }
}

std::string result_text(const TraceRecord& record) {
  if (record.before) return "";
  if (record.native) return " native";
  if (record.value >= 0 || record.value < -4095) return fmt::format(" = {}", record.value);
  const int code = static_cast<int>(-record.value);
  const char* name = strerrorname_np(code);
  return fmt::format(" = {} ({})", name != nullptr ? name : "?", error_text(code));
}

std::string line_of(const TraceRecord& record, const char* texts) {
  std::string arguments;
  for (const uint16_t size : record.path_size) {
    if (size > 0)
      arguments += (arguments.empty() ? "" : ", ") + quote(std::string_view(texts, size));
    texts += size;
  }
  if (record.fd != AT_FDCWD) arguments = fmt::format("{}", record.fd);
  std::string line = fmt::format("{} {}({}){}", record.task, call_name(record.number), arguments,
                                 result_text(record));
  if (record.unreadable_size > 0)
    line += fmt::format(": you may not read {}",
                        quote(std::string_view(texts, record.unreadable_size)));
  return line;
}

}  // namespace

void write_trace_text(int records, const std::string& file) {
  FILE* out = file.empty() ? stderr : fopen(file.c_str(), "we");
  if (out == nullptr) {
    complain(fmt::format("--trace={}: {}", quote(file), error_text(errno)));
    return;
  }
  const std::unique_ptr<FILE, int (*)(FILE*)> in(fdopen(dup(records), "re"), fclose);
  std::vector<char> texts;
  TraceRecord record;
  while (in != nullptr && fread(&record, sizeof record, 1, in.get()) == 1) {
    const size_t size = size_t{record.path_size[0]} + record.path_size[1] + record.unreadable_size;
    if (record.size != sizeof record + size) break;  // cut off by a full disk
    texts.resize(size);
    if (size > 0 && fread(texts.data(), size, 1, in.get()) != 1) break;
    const std::string line = line_of(record, texts.data()) + "\n";
    fwrite(line.data(), line.size(), 1, out);
  }
  if (out != stderr && fclose(out) != 0)
    complain(fmt::format("--trace={}: {}", quote(file), error_text(errno)));
}

}  // namespace ovl
