// See trace.h.
#include "core/trace/trace.h"

#include <unistd.h>

#include "core/walk/walk.h"

namespace ovl {
namespace {

// The lower's file behind a refusal that no recorded mode explains: the kernel's own.
CStr unreadable_file(Op& op, int dirfd, CStr path) {
  Result<Walked> w = walk(op, dirfd, path, kFollow);
  if (!w.ok() || w.value().native || w.value().node == nullptr) return CStr();
  const Node& node = *w.value().node;
  if (node.outside() || !node.exists() || node.in_upper()) return CStr();
  const CStr real = node.data();
  return sys_faccessat2(real, R_OK, AT_EACCESS).error() == EACCES ? real : CStr();
}

uint16_t clamp(size_t size) { return static_cast<uint16_t>(size < 0xffff ? size : 0xffff); }

}  // namespace

TracedCall::TracedCall(Op& op, long number, const TracePaths& paths)
    : op_(op), number_(number), paths_(paths), origin_(op.caller().origin(op.arena())) {
  for (int i = 0; i < paths.count; i++) {
    Result<CStr> text = op.caller().copy_in_path(op.arena(), paths.path[i]);
    if (text.ok()) texts_[i] = text.value();
  }
}

void TracedCall::record(const Outcome* outcome) {
  Session& session = op_.session();
  Str texts[4] = {texts_[0], texts_[1], Str(), origin_.stack};
  if (outcome != nullptr && !outcome->is_native() && outcome->value() == -EACCES)
    for (int i = 0; i < paths_.count && texts[2].empty(); i++)
      if (!texts_[i].empty()) texts[2] = unreadable_file(op_, paths_.dirfd[i], texts_[i]);

  TraceRecord record{};
  size_t size = sizeof record;
  for (const Str& text : texts) size += clamp(text.size());
  record.size = static_cast<uint32_t>(size);
  record.task = origin_.task;
  record.number = static_cast<int32_t>(number_);
  record.fd = paths_.count == 0 ? paths_.fd : AT_FDCWD;
  record.value = outcome != nullptr ? outcome->value() : 0;
  record.native = outcome != nullptr && outcome->is_native();
  record.before = outcome == nullptr;
  record.path_size[0] = clamp(texts[0].size());
  record.path_size[1] = clamp(texts[1].size());
  record.unreadable_size = clamp(texts[2].size());
  record.stack_size = clamp(texts[3].size());
  char* bytes = op_.arena().array<char>(size);
  if (bytes == nullptr) return;
  memcpy(bytes, &record, sizeof record);
  char* at = bytes + sizeof record;
  for (const Str& text : texts) {
    if (!text.empty()) memcpy(at, text.data(), clamp(text.size()));
    at += clamp(text.size());
  }
  origin_.stack = Str();
  Result<UniqueFd> file =
      sys_openat(session.segment().str(session.segment().trace_path), O_WRONLY | O_APPEND);
  if (file.ok()) ignore(sys_write(file.value().get(), bytes, size));
}

}  // namespace ovl
