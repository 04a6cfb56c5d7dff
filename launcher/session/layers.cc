// See layers.h.
#include "launcher/session/layers.h"

#include <sys/stat.h>

#include <set>

#include "launcher/failure.h"

namespace ovl {
namespace {

CStr view(const std::string& text) { return CStr(text.c_str(), text.size()); }

bool below_or_same(const std::string& path, const std::string& dir) {
  return is_below_or_same(view(path), view(dir));
}

// Places where the session around may show something else than the directory that holds them.
std::set<std::string> borders(const Session& session) {
  std::set<std::string> all;
  for (uint32_t i = 0; i < session.overlay_count(); i++) all.insert(session.overlay(i).at.c_str());
  for (uint32_t i = 0; i < session.exclude_count(); i++) all.insert(session.exclude(i).c_str());
  return all;
}

}  // namespace

OverlayLayers::OverlayLayers(const GivenOverlay& given, const Around* around,
                             const std::vector<std::string>& excludes)
    : given_(given) {
  spec_.at = view(given_.at);
  spec_.upper = view(given_.upper);
  spec_.work = view(given_.work);
  spec_.format = given_.prefix;
  if (around == nullptr) {
    for (const std::string& lower : given_.lowers)
      lowers_.push_back(LowerSpec{view(lower), given_.prefix});
  } else {
    if (!given_.upper.empty()) add_upper(*around);
    add_lowers(*around, excludes);
  }
  add_data(around);
  spec_.data = data_.data();
  spec_.data_count = static_cast<uint32_t>(data_.size());
  spec_.lowers = lowers_.data();
  spec_.lower_count = static_cast<uint32_t>(lowers_.size());
}

CStr OverlayLayers::keep(const std::string& text) {
  kept_.push_back(text);
  return view(kept_.back());
}

void OverlayLayers::add_upper(const Around& around) {
  around.check_own("--upper", given_.upper);
  spec_.given_upper = view(given_.upper);
  const Place place = around.look(given_.upper);
  if (place.layers.empty()) fail("--upper {}: {}", quote(given_.upper), error_text(ENOENT));
  upper_outside_ = place.outside;
  spec_.upper = keep(place.layers[0].root);
  if (!place.outside) spec_.format = place.layers[0].layer->format.of_layer_inside(given_.prefix);
  if (given_.work.empty()) return;
  around.check_own("--work", given_.work);
  spec_.given_work = view(given_.work);
  spec_.work = keep(around.real(given_.work));
}

// Layers of the session around, with their own marks.
std::vector<LowerSpec> OverlayLayers::inherited(const Place& place) {
  std::vector<LowerSpec> all;
  for (const PlaceLayer& l : place.layers) {
    const XattrFormat format = l.layer == nullptr ? XattrFormat(given_.prefix)
                                                  : l.layer->format.seen_through(given_.prefix);
    all.push_back(LowerSpec{keep(l.root), format, l.layer});
  }
  return all;
}

void OverlayLayers::add_lowers(const Around& around, const std::vector<std::string>& excludes) {
  for (size_t i = 0; i < given_.lowers.size(); i++) {
    const std::string& lower = given_.lowers[i];
    const bool last = i + 1 == given_.lowers.size();
    const Place place = around.look(lower);
    if (place.layers.empty()) fail("--lower {}: {}", quote(lower), error_text(ENOENT));
    given_lowers_.push_back(view(lower));
    add_mounts(around, lower, last, excludes);
    if (place.whole) {
      // One real directory: it can have marks of this overlay, as any layer.
      const PlaceLayer& l = place.layers[0];
      const XattrFormat format = l.layer == nullptr
                                     ? XattrFormat(given_.prefix)
                                     : l.layer->format.of_layer_inside(given_.prefix);
      const bool has_format = l.layer != nullptr && l.layer->has_format;
      lowers_.push_back(LowerSpec{keep(l.root), format, nullptr, has_format});
      continue;
    }
    if (!last)
      fail("--lower {}: is merged in the session around this one: only the last lower may be",
           quote(lower));
    for (const LowerSpec& spec : inherited(place)) lowers_.push_back(spec);
  }
  spec_.given = given_lowers_.data();
  spec_.given_count = static_cast<uint32_t>(given_lowers_.size());
  spec_.mounts = mounts_.data();
  spec_.mount_count = static_cast<uint32_t>(mounts_.size());
  struct stat st;
  if (stat(given_.lowers[0].c_str(), &st) != 0)
    fail("--lower {}: {}", quote(given_.lowers[0]), error_text(errno));
  spec_.shown_dev = st.st_dev;
}

void OverlayLayers::add_data(const Around* around) {
  for (const std::string& lower : given_.data_lowers) {
    CStr root = view(lower);
    if (around != nullptr) {
      const Place place = around->look(lower);
      if (place.layers.empty()) fail("--lower {}: {}", quote(lower), error_text(ENOENT));
      if (!place.whole)
        fail("--lower {}: is merged in the session around this one: it can't only give data",
             quote(lower));
      root = keep(place.layers[0].root);
    }
    data_.push_back(LowerSpec{root, given_.prefix});
  }
}

void OverlayLayers::add_mounts(const Around& around, const std::string& lower, bool last,
                               const std::vector<std::string>& excludes) {
  for (const std::string& border : borders(around.session())) {
    if (border == lower || !below_or_same(border, lower)) continue;
    const Str rest = below(view(border), view(lower));
    const std::string shown =
        (given_.at == "/" ? "" : given_.at) + std::string(rest.data(), rest.size());
    bool excluded = false;
    for (const std::string& exclude : excludes)
      excluded = excluded || below_or_same(shown, exclude);
    if (excluded) continue;
    const Place place = around.look(border);
    if (place.layers.empty()) continue;
    if (!last)
      fail(
          "--lower {}: {} inside it is a place of its own in the session around this one: only "
          "the last lower may have such",
          quote(lower), quote(border));
    mount_lowers_.push_back(inherited(place));
    mounts_.push_back(MountSpec{keep(shown), mount_lowers_.back().data(),
                                static_cast<uint32_t>(mount_lowers_.back().size())});
  }
}

}  // namespace ovl
