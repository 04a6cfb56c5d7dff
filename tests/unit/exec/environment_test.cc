// What an exec'ed program's environment becomes, and where the loader is sent for libraries.
#include "core/exec/environment.h"

#include "core/exec/libraries.h"
#include "tests/support/fixture.h"

namespace ovl::testing {
namespace {

class Environment : public OverlayTest {
 protected:
  std::vector<std::string> after(std::vector<std::string> env, CStr libraries = CStr(nullptr, 0),
                                 Str called = Str()) {
    std::vector<char*> items;
    for (std::string& s : env) items.push_back(s.data());
    items.push_back(nullptr);
    Op op(caller(), session());
    Vector in = copy_in_vector(op, UserBuf(items.data()), 0).value();
    Vector out = session_environment(op, in, libraries, called).value();
    return std::vector<std::string>(out.items, out.items + out.count);
  }
  std::string session_entry() { return "OVLRUN_SESSION=" + work("/ovlrun/session"); }
};

TEST_F(Environment, SessionAndPreloadAreAdded) {
  start();
  EXPECT_EQ(after({"A=1"}), (std::vector<std::string>{"A=1", "LD_PRELOAD=", session_entry()}));
}

TEST_F(Environment, OtherPreloadsKeepTheirPlace) {
  start();
  const std::vector<std::string> got = after({"LD_PRELOAD=libx.so liby.so", "A=1"});
  EXPECT_EQ(got[0].rfind("LD_PRELOAD=libx.so liby.so", 0), 0u);
  EXPECT_EQ(got[1], "A=1");
}

TEST_F(Environment, AnOldSessionIsReplaced) {
  start();
  EXPECT_EQ(after({"OVLRUN_SESSION=/elsewhere"}),
            (std::vector<std::string>{"LD_PRELOAD=", session_entry()}));
}

TEST_F(Environment, LengthenedLibraryPathKeepsTheOriginalBeside) {
  start();
  EXPECT_EQ(after({"LD_LIBRARY_PATH=/mine"}, "/u:/mine"),
            (std::vector<std::string>{"LD_PRELOAD=", session_entry(), "LD_LIBRARY_PATH=/u:/mine",
                                      "OVLRUN_LD_LIBRARY_PATH=/mine"}));
  EXPECT_EQ(after({}, "/u"),
            (std::vector<std::string>{"LD_PRELOAD=", session_entry(), "LD_LIBRARY_PATH=/u",
                                      "OVLRUN_NO_LD_LIBRARY_PATH=1"}));
}

TEST_F(Environment, TheNameThatTheProgramWasCalledTravelsBeside) {
  start();
  EXPECT_EQ(after({}, CStr(nullptr, 0), "./program"),
            (std::vector<std::string>{"LD_PRELOAD=", session_entry(), "OVLRUN_EXECFN=./program"}));
}

TEST_F(Environment, LibrariesOfTheUpperComeBeforeTheDirectoryTheyHide) {
  std::filesystem::create_directories(lower("/lib"));
  std::filesystem::create_directories(lower("/bin"));
  std::filesystem::create_directories(upper("/lib"));
  start();
  Op op(caller(), session());
  const std::string program = at("/bin/p"), given = at("/lib"), upper_lib = upper("/lib");
  auto view = [](const std::string& s) { return CStr(s.c_str(), s.size()); };
  EXPECT_STREQ(library_path(op, view(program), "", view(given)).value().data(),
               (upper_lib + ":" + given).c_str());
  EXPECT_STREQ(library_path(op, view(program), "$ORIGIN/../lib", "").value().data(),
               (upper_lib + ":" + given).c_str());
  EXPECT_EQ(library_path(op, view(program), "", "/nowhere").value().data(), nullptr);
}

}  // namespace
}  // namespace ovl::testing
