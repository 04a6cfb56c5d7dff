// The private xattrs of one object, each for itself: is it one that is known, where it may be, and
// with a value that can be?
#include <string.h>
#include <sys/stat.h>

#include "core/walk/beside.h"
#include "launcher/upper/check_state.h"

namespace ovl {
namespace {

constexpr size_t kListMost = 65536;   // XATTR_LIST_MAX
constexpr size_t kValueMost = 65536;  // XATTR_SIZE_MAX
constexpr size_t kRedirectRead = 512;

enum On : unsigned {
  kDirectory = 1,
  kRegular = 2,
  kSpecial = 4,
  kRoot = 8,
  kIndex = 16,
  kAnything = kDirectory | kRegular | kSpecial,
};

// Where a mark means something.
struct MarkPlaces {
  Priv mark;
  const char* name;
  unsigned places;
};
constexpr MarkPlaces kPlaces[] = {
    {Priv::kOpaque, "opaque", kDirectory},
    {Priv::kRedirect, "redirect", kDirectory | kRegular},
    {Priv::kOrigin, "origin", kAnything},
    {Priv::kImpure, "impure", kDirectory},
    {Priv::kNlink, "nlink", kRegular | kSpecial},
    {Priv::kUpper, "upper", kIndex},
    {Priv::kUuid, "uuid", kRoot},
    {Priv::kMetacopy, "metacopy", kRegular},
    {Priv::kProtattr, "protattr", kRegular | kDirectory},
    {Priv::kWhiteout, "whiteout", kRegular},
    {Priv::kFilling, "filling", kRegular},
    {Priv::kOverrideStat, "override_stat", kAnything},
    {Priv::kFuseOpaque, "opaque of fuse-overlayfs", kDirectory},
};

unsigned places_of(const Seen& seen) {
  const unsigned type = S_ISDIR(seen.st.stx_mode)   ? kDirectory
                        : S_ISREG(seen.st.stx_mode) ? kRegular
                                                    : kSpecial;
  return type | (seen.is_root ? kRoot : 0u) | (seen.indexed ? kIndex : 0u);
}

bool is_known_link_count(Str value) {
  constexpr uint32_t kPlenty = 1u << 30;  // so that it is none below zero
  return decode_nlink(value, kPlenty, kPlenty).ok();
}

class MarkCheck {
 public:
  MarkCheck(CheckState& state, Seen* seen) : state_(state), seen_(*seen) {}

  Marks run() {
    seen_.marked = seen_.real;
    if (stands_beside(state_.overlay(), seen_.st.stx_mode)) {
      if (!find_companion()) return {};
    } else if (state_.format().prefix == XattrPrefix::kUser && !S_ISREG(seen_.st.stx_mode) &&
               !S_ISDIR(seen_.st.stx_mode)) {
      return {};  // takes none
    }
    read_list();
    for (const MarkPlaces& places : kPlaces)
      if (marks_.has.has(places.mark)) check(places);
    return std::move(marks_);
  }

 private:
  bool find_companion() {
    Op op(state_.caller, state_.view.session());
    if (!any_beside(op)) return false;
    const Result<CStr> path = beside_path(op, state_.overlay(), Object::at(view(seen_.real)));
    if (!path.ok() || path.value().empty()) return false;
    seen_.marked = text_of(path.value());
    state_.companions.insert(seen_.marked);
    StatX st;
    return sys_lstat(view(seen_.marked), &st).ok();
  }

  void read_list() {
    char usual[1024];
    std::string large;
    char* list = usual;
    Result<size_t> size = sys_llistxattr(view(seen_.marked), usual, sizeof usual);
    if (!size.ok() && size.error() == ERANGE) {
      large.resize(kListMost);
      list = large.data();
      size = sys_llistxattr(view(seen_.marked), list, large.size());
    }
    if (!size.ok()) {
      if (size.error() != EOPNOTSUPP) state_.unchecked(seen_.path, size.error());
      return;
    }
    if (size.value() == 0) return;
    marks_.has = parse_xattr_list(state_.format(), list, size.value());
    for (const char* name = list; name < list + size.value(); name += strlen(name) + 1)
      if (is_unknown(name)) found(FindingKind::kUnknownMark, Priv::kCount, name);
  }

  // Below our prefix, not escaped (those are a program's, or of an overlay inside this one), and
  // none of ours.
  bool is_unknown(const char* name) const {
    const Str known = priv_name(state_.format(), Priv::kOpaque);
    const Str prefix = known.sub(0, known.rfind('.') + 1);
    const Str text(name);
    if (!text.starts_with(prefix) || text.sub(prefix.size()).find('.') != SIZE_MAX) return false;
    return parse_xattr_list(state_.format(), name, text.size() + 1).empty();
  }

  // nullopt: it can't be read.
  std::optional<std::string> value(Priv mark) {
    char usual[512];
    const char* const name = priv_name(state_.format(), mark);
    Result<size_t> size = sys_lgetxattr(view(seen_.marked), name, usual, sizeof usual);
    if (size.ok()) return std::string(usual, size.value());
    if (size.error() == ERANGE) {
      std::string large(kValueMost, 0);
      size = sys_lgetxattr(view(seen_.marked), name, large.data(), large.size());
      if (size.ok()) return large.substr(0, size.value());
    }
    if (size.error() != ENODATA) state_.unchecked(seen_.path, size.error());
    return {};
  }

  void found(FindingKind kind, Priv mark, const std::string& detail, const std::string& to = "") {
    state_.add({kind, seen_.path, detail, seen_.marked, mark, to});
    if (text_of(kind).severity == Severity::kError) marks_.damaged = true;
  }

  void check(const MarkPlaces& places) {
    if ((places.places & places_of(seen_)) == 0) {
      found(FindingKind::kMisplacedMark, places.mark, places.name);
      marks_.has.remove(places.mark);
      return;
    }
    const std::optional<std::string> read = value(places.mark);
    if (!read) return;
    const Str text(read->data(), read->size());
    switch (places.mark) {
      case Priv::kOpaque:
        marks_.opaque = decode_opaque(text.data(), text.size());
        if (marks_.opaque == Opaque::kNo) bad(places, *read);
        break;
      case Priv::kRedirect:
        marks_.redirect = *read;
        if (text.size() > kRedirectRead || !check_redirect(text).ok()) bad_redirect(places, *read);
        break;
      case Priv::kOrigin:
        check_origin(places, *read);
        break;
      case Priv::kImpure:
        if (text != Str("y")) found(FindingKind::kBadImpure, places.mark, places.name, "y");
        break;
      case Priv::kNlink:
        marks_.nlink = *read;
        if (!is_known_link_count(text)) found(FindingKind::kBadCount, places.mark, quote(*read));
        break;
      case Priv::kUpper:
        check_upper_of_index(places, text);
        break;
      case Priv::kUuid:
        if (text.size() != sizeof FileHandle::uuid) bad(places, *read);
        break;
      case Priv::kMetacopy:
        marks_.metacopy = *read;
        if (!decode_metacopy(text.data(), text.size()).ok()) bad(places, *read);
        break;
      case Priv::kProtattr:
        if (read->empty() || read->find_first_not_of("ai") != std::string::npos) bad(places, *read);
        break;
      case Priv::kWhiteout:
        if (seen_.st.stx_size != 0) found(FindingKind::kMisplacedMark, places.mark, places.name);
        break;
      case Priv::kFilling:
        check_filling(places, *read);
        break;
      case Priv::kOverrideStat:
        check_record(*read);
        break;
      default:
        break;
    }
  }

  void bad(const MarkPlaces& places, const std::string& read) {
    found(FindingKind::kBadMark, places.mark, fmt::format("{} ({})", places.name, quote(read)));
  }

  // Of a file with data of its own it told nothing but the inode number.
  void bad_redirect(const MarkPlaces& places, const std::string& read) {
    const bool whole = S_ISREG(seen_.st.stx_mode) && !marks_.has.has(Priv::kMetacopy);
    found(whole ? FindingKind::kBadRedirectOfWhole : FindingKind::kBadMark, places.mark,
          fmt::format("{} ({})", places.name, quote(read)));
  }

  void check_origin(const MarkPlaces& places, const std::string& read) {
    marks_.origin = read;
    FileHandle handle;
    const Result<OriginState> state = decode_origin(read.data(), read.size(), &handle);
    if (state.ok()) {
      if (state.value() == OriginState::kKnown) marks_.origin_handle = handle;
    } else if (!seen_.indexed && !marks_.has.has(Priv::kNlink)) {
      found(FindingKind::kBadOrigin, places.mark, places.name);
    }  // else the index tells
  }

  void check_upper_of_index(const MarkPlaces& places, Str text) {
    FileHandle handle;
    const Result<OriginState> state = decode_origin(text.data(), text.size(), &handle);
    if (!state.ok() || (state.value() == OriginState::kKnown && !handle.path_upper))
      bad(places, text_of(text));
  }

  // Of a file that has its data it tells nothing any more.
  void check_filling(const MarkPlaces& places, const std::string& read) {
    Filling shown;
    if (!marks_.has.has(Priv::kMetacopy)) {
      found(FindingKind::kMisplacedMark, places.mark, places.name);
    } else if (!decode_filling(read.data(), read.size(), &shown).ok()) {
      bad(places, read);
    } else {
      found(FindingKind::kFillingKilled, places.mark, places.name);
      seen_.st.stx_size = shown.size;
    }
  }

  void check_record(const std::string& read) {
    OverrideStat record;
    if (!decode_override_stat(Str(read.data(), read.size()), &record).ok()) {
      found(FindingKind::kBadRecord, Priv::kOverrideStat, quote(read));
      return;
    }
    if (!record.has_type) return;
    const mode_t real = seen_.st.stx_mode & S_IFMT, recorded = record.mode & S_IFMT;
    // A regular file may stand for what this user can't make.
    if (recorded == real || (S_ISREG(real) && !S_ISDIR(recorded))) return;
    found(FindingKind::kRecordedType, Priv::kOverrideStat, quote(read));
  }

  CheckState& state_;
  Seen& seen_;
  Marks marks_;
};

}  // namespace

Marks check_marks(CheckState& state, Seen* seen) { return MarkCheck(state, seen).run(); }

}  // namespace ovl
