// What is seen of one step: words key=value, in an order that depends on what is there alone.
//
// Keys say what kind of value it is to whoever compares: .ino are inode numbers (with the device
// where it is known), .dev devices, .mtime times.
#pragma once

#include <stdint.h>
#include <sys/stat.h>

#include <string>
#include <string_view>

namespace model {

class Observation {
 public:
  void add(std::string_view key, std::string_view value);
  void add(std::string_view key, uint64_t value) { add(key, std::to_string(value)); }
  void add_error(std::string_view key, int error);
  void add_stat(const std::string& key, const struct stat& st);
  void add_names(const std::string& key, std::string_view zero_ended);
  // The whole of an open directory, from its position on.
  // Reads the directory in small pieces, goes back to a position in the middle and reads the rest
  // once more. False, with errno: the descriptor is none of a directory.
  bool add_parts(const std::string& key, int fd);
  void add_listing(const std::string& key, int fd);

  // All about the object at a path, no symlink followed; the xattrs only where it can be reached
  // without a descriptor.
  void add_object(const std::string& key, int dirfd, const std::string& path, bool deep);
  void add_descriptor(const std::string& key, int fd);
  void add_inode(const std::string& key, int dirfd, const std::string& path);
  // The listing and the times of the directory that a path's last name is in.
  void add_parent(const std::string& key, int dirfd, const std::string& path);
  // All that is below a path.
  void add_tree(const std::string& path);

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace model
