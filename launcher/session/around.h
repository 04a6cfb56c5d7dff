// The session that this process is in, if it is below another ovlrun. An inner session is made of
// what that one shows: its launcher is a program there, with the paths that programs have, and
// looks behind them through the core.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/session/session.h"

namespace ovl {

// A real directory of which a place in the session is made.
struct PlaceLayer {
  std::string root;
  const Layer* layer;  // of the session; nullptr: none, the place is outside of all overlays
};

// What stands behind a directory that programs of the session see.
struct Place {
  std::vector<PlaceLayer> layers;  // topmost first; empty: no directory is there
  bool outside = false;
  // Of one layer alone, and nothing inside was put together from elsewhere: it can be a layer.
  bool whole = false;
  bool in_upper = false;
};

class Around {
 public:
  // nullptr: this process is below no ovlrun. Throws Failure when it is and can't join that
  // session.
  static std::shared_ptr<Around> find();

  Session& session() const { return *session_; }
  Place look(const std::string& dir) const;
  // The one real path of a directory that is outside or in an upper alone. Throws Failure.
  std::string real(const std::string& dir) const;
  // Throws Failure for what no inner session can have as upper, workdir or lower.
  void check_apart(const char* what, const std::string& path) const;
  void check_own(const char* what, const std::string& path) const;
  // Paths inside which nothing of an inner session's overlays may be seen: what the sessions around
  // write to, by all the names that it has.
  std::vector<std::string> closed() const;

 private:
  std::unique_ptr<Session> session_;
};

}  // namespace ovl
