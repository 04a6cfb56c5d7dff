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
    Op op(caller(), session());
    return strings(session_environment(op, vector_of(op, env), libraries, called).value());
  }
  static Vector vector_of(Op& op, std::vector<std::string>& env) {
    std::vector<char*> items;
    for (std::string& s : env) items.push_back(s.data());
    items.push_back(nullptr);
    return copy_in_vector(op, UserBuf(items.data()), 0).value();
  }
  static std::vector<std::string> strings(const Vector& vector) {
    return std::vector<std::string>(vector.items, vector.items + vector.count);
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

TEST_F(Environment, NothingOfOursIsLeftForAProgramThatCannotBeFollowed) {
  start();
  session().segment().preload_path = session().segment().overlays[0].at;  // any text will do
  const std::string object = at();
  Op op(caller(), session());
  const auto plain = [&](std::vector<std::string> env) {
    const Vector in = vector_of(op, env);
    const Vector out = plain_environment(op, in).value();
    EXPECT_EQ(out.items == in.items, strings(in) == strings(out)) << "a copy of what stays";
    return strings(out);
  };
  using Strings = std::vector<std::string>;
  EXPECT_EQ(plain({"A=1", "", "LD_PRELOAD=libx.so::liby.so"}),
            (Strings{"A=1", "", "LD_PRELOAD=libx.so::liby.so"}));
  EXPECT_EQ(plain({"A=1", "OVLRUN_SESSION=/s", "", "OVLRUN_SESSIONS=2"}),
            (Strings{"A=1", "", "OVLRUN_SESSIONS=2"}));
  EXPECT_EQ(plain({"LD_PRELOAD=" + object, "A=1"}), (Strings{"A=1"}));
  EXPECT_EQ(plain({"LD_PRELOAD=libx.so " + object + "::liby.so:"}),
            (Strings{"LD_PRELOAD=libx.so:liby.so"}));
  EXPECT_EQ(plain({"LD_PRELOAD=" + object + ".so"}), (Strings{"LD_PRELOAD=" + object + ".so"}));
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
