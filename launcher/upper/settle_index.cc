// See settle_index.h.
#include "launcher/upper/settle_index.h"

#include <sys/sysmacros.h>

#include "core/copy_up/copy_up.h"
#include "core/copy_up/linked.h"
#include "core/walk/index.h"
#include "core/walk/lookup.h"
#include "launcher/failure.h"
#include "launcher/session/existing.h"
#include "launcher/session/listing.h"

namespace ovl {
namespace {

std::string parent_of(const std::string& rel) { return rel.substr(0, rel.rfind('/')); }

bool is_temporary(const std::string& entry) { return entry.starts_with('#'); }

}  // namespace

IndexSettler::IndexSettler(const UpperSource& source, SettleMemory& memory, Progress& progress)
    : source_(source),
      memory_(memory),
      progress_(progress),
      view_(source, true, View::Index::kFollowed),
      index_(source.work + "/index") {
  StatX st;
  if (!sys_lstat(view(index_), &st).ok()) return;
  for (const RealEntry& entry : real_entries(index_)) {
    if (!is_temporary(entry.name) && !is_index_name(entry.name))
      fail("settle: {}: is nothing that is known in an index", quote(index_ + "/" + entry.name));
    entries_.insert(entry.name);
  }
}

void IndexSettler::bring_names() {
  if (empty()) return;
  progress_.begins("looking for hard links");
  std::vector<std::string> todo = {""};
  while (!todo.empty()) {
    const std::string rel = std::move(todo.back());
    todo.pop_back();
    look_into(rel, todo);
  }
}

void IndexSettler::look_into(const std::string& rel, std::vector<std::string>& todo) {
  Op op(caller_, view_.session());
  const Node& dir = view_.node(op, rel);
  for (const std::string& name : names_of(dir)) {
    const std::string below = rel + "/" + name;
    Op inner(caller_, view_.session());
    const Result<const Node*> found = lookup(inner, dir, view(name), Search::kUnchecked);
    if (!found.ok() && found.error() == EACCES) continue;  // nor do programs get there
    const Node& child = *value_of(found, view_.shown(below));
    if (!child.exists()) continue;
    if (child.is_dir()) {
      todo.push_back(below);
      continue;
    }
    note_links(inner, child);
    if (!child.index.empty()) bring(below);
  }
}

// Not the upper or the workdir, which may lie in the lower.
bool IndexSettler::is_ours(CStr lower) const {
  const std::string path = text_of(lower);
  return path != source_.upper && path != source_.work;
}

std::vector<std::string> IndexSettler::names_of(const Node& dir) {
  std::set<std::string> names;
  const auto add = [&](CStr path) {
    for (const RealEntry& entry : real_entries(text_of(path))) names.insert(entry.name);
  };
  if (dir.in_upper()) add(dir.upper);
  for (uint32_t i = 0; i < dir.lower_count; i++) {
    const LowerRef& lower = dir.lowers[i];
    StatX st;
    if (!is_ours(lower.path) || !sys_lstat(lower.path, &st).ok()) continue;
    if (makedev(st.stx_dev_major, st.stx_dev_minor) != lower.layer->dev) continue;
    if (sys_openat(lower.path, O_RDONLY | O_DIRECTORY).ok())
      add(lower.path);
    else
      complain(fmt::format(
          "settle: {}: can't be read: a hard link in it would show the lower's file from now on",
          quote(text_of(lower.path))));
  }
  return {names.begin(), names.end()};
}

// What the link count can be told relative to while the entry goes.
void IndexSettler::note_links(Op& op, const Node& node) {
  if (node.lower_count == 0) return;
  StatX lower;
  if (!sys_lstat(node.lowers[0].path, &lower).ok()) return;
  const Result<CStr> entry = index_entry(op, view_.overlay(), node.lowers[0], lower);
  if (entry.ok() && !entry.value().empty()) lower_links_[text_of(entry.value())] = lower.stx_nlink;
}

// A change inside a directory of the upper whose times stay.
template <class Change>
void IndexSettler::quietly(const std::string& dir, Change change) {
  const std::string path = source_.upper + dir;
  StatX now;
  check_done(sys_lstat(view(path), &now), path);
  QuietDirectory quiet(memory_, now, dir);
  quiet.begin();
  change();
  quiet.end();
}

void IndexSettler::bring_directory(const std::string& rel) {
  Op op(caller_, view_.session());
  const Node& dir = view_.node(op, rel);
  if (dir.in_upper()) return;
  bring_directory(parent_of(rel));
  quietly(parent_of(rel), [&] { value_of(copy_up(op, dir, Data::kNone), view_.shown(rel)); });
}

void IndexSettler::bring(const std::string& rel) {
  bring_directory(parent_of(rel));
  quietly(parent_of(rel), [&] {
    Op op(caller_, view_.session());
    value_of(copy_up(op, view_.node(op, rel), Data::kNone), view_.shown(rel));
  });
  progress_.did("linked", view_.shown(rel));
}

void IndexSettler::remove() {
  for (const std::string& name : entries_) {
    const std::string path = index_ + "/" + name;
    Op op(caller_, view_.session());
    const auto links = lower_links_.find(path);
    check_done(leave_index(op, view_.overlay(), view(path),
                           links != lower_links_.end() ? links->second : 0),
               path);
  }
  ignore(sys_rmdir(view(index_)));
}

void IndexSettler::finish(const Node& file) const {
  char origin[kFileHandleMax], name[2 * kFileHandleMax];
  const Object marked = Object::at(file.marked());
  const Result<size_t> size =
      marked.get(priv_name(view_.overlay().format, Priv::kOrigin), origin, sizeof origin);
  if (size.ok()) {
    encode_index_name(origin, size.value(), name);
    if (entries_.contains(std::string(name, 2 * size.value()))) return;
  }
  check_done(forget_index(view_.overlay(), marked), text_of(file.upper));
}

}  // namespace ovl
