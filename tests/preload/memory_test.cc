// The preload object's own memory functions against libc's, for all small sizes, alignments and
// overlaps.
#include <gtest/gtest.h>
#include <string.h>

#include <numeric>
#include <string>
#include <vector>

#define memcpy own_memcpy
#define memmove own_memmove
#define memset own_memset
#define memcmp own_memcmp
#define bcmp own_bcmp
#define strlen own_strlen
#define strnlen own_strnlen
#define strchr own_strchr
#define strrchr own_strrchr
#define strstr own_strstr
#include "preload/memory.cc"  // NOLINT(bugprone-suspicious-include): under other names
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef bcmp
#undef strlen
#undef strnlen
#undef strchr
#undef strrchr
#undef strstr

namespace {

constexpr size_t kSizes[] = {0,  1,  2,  3,  4,   5,   7,   8,    9,    15,   16,
                             17, 23, 24, 31, 32,  33,  47,  48,   49,   63,   64,
                             65, 95, 96, 97, 127, 128, 200, 1023, 1024, 1025, 3000};

std::vector<char> pattern() {
  std::vector<char> bytes(4096);
  for (size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<char>(i * 7 + i / 251);
  return bytes;
}

TEST(Memory, CopiesAndMovesLikeLibc) {
  for (size_t n : kSizes) {
    for (size_t from : {0, 1, 5, 16, 33}) {
      for (size_t to : {0, 1, 3, 8, 16, 40}) {
        std::vector<char> mine = pattern(), libc = pattern();
        EXPECT_EQ(own_memmove(mine.data() + to, mine.data() + from, n), mine.data() + to);
        memmove(libc.data() + to, libc.data() + from, n);
        EXPECT_EQ(mine, libc) << n << " bytes from " << from << " to " << to;
      }
      std::vector<char> mine(4096), libc(4096);
      own_memcpy(mine.data() + 3, pattern().data() + from, n);
      memcpy(libc.data() + 3, pattern().data() + from, n);
      EXPECT_EQ(mine, libc) << n << " bytes from " << from;
    }
  }
}

TEST(Memory, FillsLikeLibc) {
  for (size_t n : kSizes) {
    std::vector<char> mine = pattern(), libc = pattern();
    own_memset(mine.data() + 5, 0x1f3, n);
    memset(libc.data() + 5, 0x1f3, n);
    EXPECT_EQ(mine, libc) << n;
  }
}

TEST(Memory, ComparesLikeLibc) {
  const std::vector<char> a = pattern();
  for (size_t n : kSizes) {
    EXPECT_EQ(own_memcmp(a.data(), pattern().data(), n), 0);
    for (size_t at = 0; at < n; at += 5) {
      std::vector<char> b = a;
      b[at] = static_cast<char>(b[at] ^ 0x80);
      const int mine = own_memcmp(a.data(), b.data(), n), libc = memcmp(a.data(), b.data(), n);
      EXPECT_EQ(mine < 0, libc < 0) << n << " at " << at;
      EXPECT_NE(mine, 0);
    }
  }
}

TEST(Memory, FindsTheEndLikeLibc) {
  for (size_t n = 0; n < 80; n++) {
    for (size_t start = 0; start < 20; start++) {
      std::string text(start + n, 'x');
      EXPECT_EQ(own_strlen(text.c_str() + start), n);
      for (size_t most :
           {size_t{0}, size_t{1}, n, n + 1, size_t{15}, size_t{16}, size_t{17}, size_t{50}})
        EXPECT_EQ(own_strnlen(text.c_str() + start, most), strnlen(text.c_str() + start, most));
    }
  }
}

TEST(Memory, FindsCharactersAndTextsLikeLibc) {
  const char* text = "a/bc/d,ccs=x";
  for (int c : {'a', '/', 'x', 'q', '\0'}) {
    EXPECT_EQ(own_strchr(text, c), strchr(text, c));
    EXPECT_EQ(own_strrchr(text, c), strrchr(text, c));
  }
  for (const char* wanted : {"", "a", "/d", "ccs=", "x", "xx", "a/bc/d,ccs=xy"})
    EXPECT_EQ(own_strstr(text, wanted), strstr(text, wanted)) << wanted;
}

}  // namespace
