// See config.h.
#include "launcher/session/config.h"

#include <fmt/format.h>

#include <fstream>

namespace ovl {
namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '\n' || c == '\\')
      out += fmt::format("\\{:03o}", static_cast<unsigned char>(c));
    else
      out += c;
  }
  return out;
}

std::string unescaped(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                               (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::string config_text(const PlannedOverlay& overlay, const RunOptions& options) {
  std::string text = fmt::format("at={}\nupper={}\n", escaped(overlay.at), escaped(overlay.upper));
  for (const std::string& lower : overlay.lowers) text += fmt::format("lower={}\n", escaped(lower));
  for (const std::string& root : overlay.roots) text += fmt::format("root={}\n", root);
  if (!overlay.upper_root.empty()) text += fmt::format("upper-root={}\n", overlay.upper_root);
  for (const std::string& lower : overlay.data_lowers)
    text += fmt::format("data={}\n", escaped(lower));
  return text +
         fmt::format("xattr={}\n", options.prefix == XattrPrefix::kUser ? "user" : "trusted");
}

std::optional<RecordedConfig> read_config(const std::string& work) {
  std::ifstream in(session_dir(work) + "/config", std::ios::binary);
  if (!in) return std::nullopt;
  RecordedConfig config;
  for (std::string line; std::getline(in, line);) {
    const size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    const std::string key = line.substr(0, equals), value = unescaped(line.substr(equals + 1));
    if (key == "at") config.at = value;
    if (key == "upper") config.upper = value;
    if (key == "lower") config.lowers.push_back(value);
    if (key == "root") config.roots.push_back(value);
    if (key == "upper-root") config.upper_root = value;
    if (key == "data") config.data_lowers.push_back(value);
    if (key == "xattr")
      config.prefix = value == "trusted" ? XattrPrefix::kTrusted : XattrPrefix::kUser;
  }
  if (config.at.empty() || config.lowers.empty()) return std::nullopt;
  return config;
}

}  // namespace ovl
