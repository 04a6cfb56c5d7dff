// Heads of programs: "#!" lines as binfmt_script reads them, ELF headers that may be damaged.
#include "core/exec/image.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <string>

#include "core/exec/libraries.h"
#include "core/sys/scratch.h"

namespace ovl {
namespace {

class Bytes : public ByteSource {
 public:
  explicit Bytes(std::string bytes) : bytes_(std::move(bytes)) {}
  Result<size_t> read(void* out, size_t size, uint64_t offset) override {
    if (offset >= bytes_.size()) return size_t{0};
    const size_t n = std::min(size, bytes_.size() - static_cast<size_t>(offset));
    memcpy(out, bytes_.data() + offset, n);
    return n;
  }

 private:
  std::string bytes_;
};

TEST(ScriptHead, IsReadAsTheKernelReadsIt) {
  const std::string long_name(300, 'x');
  const struct {
    std::string head;
    const char* interpreter;  // nullptr: ENOEXEC
    const char* argument;     // nullptr: none
  } cases[] = {
      {"#!/bin/sh\n", "/bin/sh", nullptr},
      {"#!  /bin/sh  \n", "/bin/sh", nullptr},
      {"#!/usr/bin/env python3\nrest", "/usr/bin/env", "python3"},
      {"#!/bin/sh -e -x \n", "/bin/sh", "-e -x"},
      {"#!/bin/sh\t-e\n", "/bin/sh", "-e"},
      {"#!/bin/sh", "/bin/sh", nullptr},
      {"#!\n", nullptr, nullptr},
      {"#! \t\n", nullptr, nullptr},
      {"#!relative\n", "relative", nullptr},
      {"#!/" + long_name, nullptr, nullptr},
  };
  for (const auto& c : cases) {
    Scratch scratch;
    const std::string head = c.head.substr(0, kImageHead);
    Result<Image> image = parse_script(scratch.arena(), Str(head.data(), head.size()));
    if (c.interpreter == nullptr) {
      EXPECT_EQ(image.error(), ENOEXEC) << head;
      continue;
    }
    ASSERT_TRUE(image.ok()) << head;
    EXPECT_STREQ(image.value().interpreter.c_str(), c.interpreter);
    EXPECT_EQ(image.value().has_argument, c.argument != nullptr) << head;
    if (c.argument != nullptr) {
      EXPECT_STREQ(image.value().argument.c_str(), c.argument);
    }
  }
}

template <class Header = Elf64_Ehdr, class Segment = Elf64_Phdr>
std::string elf(uint16_t machine, const std::string& interpreter) {
  Header header = {};
  memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = sizeof header == sizeof(Elf64_Ehdr) ? ELFCLASS64 : ELFCLASS32;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_machine = machine;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Segment);
  header.e_phnum = 1;
  Segment segment = {};
  segment.p_type = interpreter.empty() ? PT_NULL : PT_INTERP;
  segment.p_offset = sizeof header + sizeof segment;
  segment.p_filesz = interpreter.size() + 1;
  return std::string(reinterpret_cast<char*>(&header), sizeof header) +
         std::string(reinterpret_cast<char*>(&segment), sizeof segment) + interpreter +
         std::string(1, '\0');
}

ImageKind kind_of(const std::string& bytes) {
  Scratch scratch;
  Bytes source(bytes);
  Result<Image> image = inspect_image(scratch.arena(), source);
  return image.ok() ? image.value().kind : ImageKind::kUnknown;
}

TEST(ElfHead, TellsDynamicStaticAndForeignApart) {
  EXPECT_EQ(kind_of(elf(EM_X86_64, "/lib64/ld-linux-x86-64.so.2")), ImageKind::kDynamic);
  EXPECT_EQ(kind_of(elf(EM_X86_64, "")), ImageKind::kLoader);
  EXPECT_EQ(kind_of(elf(EM_386, "/lib/ld-linux.so.2")), ImageKind::kForeign);
  EXPECT_EQ(kind_of("plain text"), ImageKind::kUnknown);
  EXPECT_EQ(kind_of(""), ImageKind::kUnknown);
}

TEST(ElfHead, A32BitProgramHasAnInterpreterToo) {
  const std::string whole = elf<Elf32_Ehdr, Elf32_Phdr>(EM_386, "/lib/ld-linux.so.2");
  for (size_t n = 0; n <= whole.size(); n++) {
    Scratch scratch;
    Bytes source(whole.substr(0, n));
    Result<Image> image = inspect_image(scratch.arena(), source);
    if (!image.ok() || image.value().kind == ImageKind::kUnknown) continue;
    EXPECT_EQ(image.value().kind, ImageKind::kForeign) << n;
    EXPECT_EQ(image.value().interpreter == Str("/lib/ld-linux.so.2"), n == whole.size()) << n;
  }
  // Of another machine: who starts it has rules of its own.
  Scratch scratch;
  Bytes source(elf<Elf32_Ehdr, Elf32_Phdr>(EM_PPC, "/lib/ld.so.1"));
  EXPECT_TRUE(inspect_image(scratch.arena(), source).value().interpreter.empty());
}

TEST(ElfHead, CutAnywhereIsNeverDynamic) {
  const std::string whole = elf(EM_X86_64, "/lib64/ld-linux-x86-64.so.2");
  for (size_t n = 0; n < whole.size(); n++)
    EXPECT_NE(kind_of(whole.substr(0, n)), ImageKind::kDynamic) << n;
}

TEST(ElfHead, RunPathOfADamagedProgramCountsAsNone) {
  Scratch scratch;
  Bytes source(elf(EM_X86_64, "/lib64/ld-linux-x86-64.so.2"));
  EXPECT_TRUE(run_path(scratch.arena(), source).value().empty());
}

}  // namespace
}  // namespace ovl
