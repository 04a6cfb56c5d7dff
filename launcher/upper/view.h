// What programs would see of an upper over its lowers, looked up without a session.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/caller/op.h"
#include "core/session/session.h"
#include "core/walk/node.h"
#include "launcher/failure.h"

namespace ovl {

struct UpperSource {
  std::string at, upper;
  std::string work;  // empty: there is none, and nothing is going to be changed
  std::vector<std::string> lowers;
  XattrPrefix prefix = XattrPrefix::kUser;
  std::vector<std::string> data_lowers = {};
};

inline CStr view(const std::string& text) { return CStr(text.c_str(), text.size()); }
inline std::string text_of(Str s) { return std::string(s.data(), s.size()); }

// The value, or Failure that names the path.
template <class T>
T value_of(Result<T> result, const std::string& path) {
  if (!result.ok()) fail("{}: {}", quote(path), error_text(result.error()));
  return std::move(result).value();
}
inline void check_done(const Result<void>& result, const std::string& path) {
  if (!result.ok()) fail("{}: {}", quote(path), error_text(result.error()));
}

// A session that only this process knows. What is changed through it gets neither redirects nor
// metacopies.
class View {
 public:
  // Of hard links in a lower: does a name show what the index of the workdir has of it?
  enum class Index : uint8_t { kIgnored, kFollowed };
  View(const UpperSource& source, bool with_upper, Index index = Index::kIgnored);

  Session& session() { return *session_; }
  const Overlay& overlay() const { return session_->overlay(session_->overlay_count() - 1); }
  // The path that programs use: `rel` is "" or "/a/b".
  std::string shown(const std::string& rel) const;
  // Throws Failure.
  const Node& node(Op& op, const std::string& rel);

 private:
  std::string at_;
  std::unique_ptr<Session> session_;
};

}  // namespace ovl
