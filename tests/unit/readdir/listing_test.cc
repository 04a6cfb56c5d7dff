// What a merged listing shows.
#include "tests/unit/readdir/support.h"

namespace ovl::testing {
namespace {

using Listing = ListingTest;

TEST_F(Listing, ShowsEachNameOnce) {
  write_file(lower("/both"), "lower");
  write_file(lower("/low"), "");
  start();
  write_file(upper("/both"), "upper");
  write_file(upper("/up"), "");
  EXPECT_EQ(names(), (Names{"both", "low", "up"}));
}

TEST_F(Listing, LeavesWhiteoutsOut) {
  for (const char* name : {"/a", "/b", "/c"}) write_file(lower(name), "");
  start();
  whiteout("/a");
  whiteout("/of-nothing");
  EXPECT_EQ(names(), (Names{"b", "c"}));
}

TEST_F(Listing, AWhiteoutInAMiddleLayerHidesWhatIsBelowOnly) {
  lower("", 2);
  make_dir(lower("/d", 0));
  make_dir(lower("/d", 1));
  make_dir(lower("/d", 2));
  write_file(lower("/d/x", 2), "");
  write_file(lower("/d/y", 2), "");
  write_file(lower("/d/z", 0), "");
  ASSERT_EQ(mknod(lower("/d/x", 1).c_str(), S_IFCHR, 0), 0);
  ASSERT_EQ(mknod(lower("/d/z", 1).c_str(), S_IFCHR, 0), 0);
  Options options;
  options.lowers = 3;
  start(options);
  EXPECT_EQ(names("/d"), (Names{"y", "z"}));
  make_dir(upper("/d"));
  write_file(upper("/d/x"), "again");
  EXPECT_EQ(names("/d"), (Names{"x", "y", "z"}));
}

TEST_F(Listing, NothingOfALowerShowsBelowAnOpaqueDirectory) {
  if (!can_set_xattrs()) GTEST_SKIP() << "no user xattrs here";
  make_dir(lower("/d"));
  write_file(lower("/d/old"), "");
  start();
  make_dir(upper("/d"));
  write_file(upper("/d/new"), "");
  set_xattr(upper("/d"), "user.overlay.opaque", "y");
  EXPECT_EQ(names("/d"), (Names{"new"}));
}

TEST_F(Listing, WhiteoutsOfTheXattrFormAreLeftOut) {
  if (!can_set_xattrs()) GTEST_SKIP() << "no user xattrs here";
  write_file(lower("/gone"), "");
  write_file(lower("/kept"), "");
  start();
  set_xattr(upper(), "user.overlay.opaque", "x");
  write_file(upper("/gone"), "");
  set_xattr(upper("/gone"), "user.overlay.whiteout", "");
  write_file(upper("/kept"), "not empty: no whiteout");
  set_xattr(upper("/kept"), "user.overlay.whiteout", "");
  EXPECT_EQ(names(), (Names{"kept"}));
}

TEST_F(Listing, RealDevicesAreNoWhiteouts) {
  start();
  if (mknod(upper("/null").c_str(), S_IFCHR | 0600, makedev(1, 3)) != 0)
    GTEST_SKIP() << "no right to make devices";
  EXPECT_EQ(load().at("null").type, DT_CHR);
}

TEST_F(Listing, NamesOfAllBytesAndLengthsCome) {
  Names all;
  std::string bytes;
  for (int c = 1; c < 256; c++)
    if (c != '/') bytes += static_cast<char>(c);
  all.insert(bytes.substr(0, 254));
  all.insert(std::string(255, 'n'));
  for (const char* name : {"...", ".x", " ", "\n", "-rf", "\xff", "*", ".wh.x", ".wh..wh..opq"})
    all.insert(name);
  for (const std::string& name : all) write_file(lower("/" + name), "");
  start();
  write_file(upper("/y"), "");
  all.insert("y");
  EXPECT_EQ(names(), all);
}

TEST_F(Listing, NumbersAndTypesAreThoseOfStat) {
  if (!can_set_xattrs()) GTEST_SKIP() << "no user xattrs here";
  make_dir(lower("/merged"));
  make_dir(lower("/low-dir"));
  write_file(lower("/low-file"), "");
  write_file(lower("/copied"), "data");
  write_file(lower("/metadata"), "data");
  write_file(lower("/replaced"), "data");
  ASSERT_EQ(symlink("low-file", lower("/link").c_str()), 0);
  ASSERT_EQ(mkfifo(lower("/fifo").c_str(), 0644), 0);
  start();
  make_dir(upper("/merged"));
  make_dir(upper("/new-dir"));
  write_file(upper("/copied"), "data");
  set_xattr(upper("/copied"), "user.overlay.origin", "");
  write_file(upper("/metadata"), "");
  set_xattr(upper("/metadata"), "user.overlay.metacopy", "");
  write_file(upper("/replaced"), "new");
  write_file(upper("/device"), "");
  set_xattr(upper("/device"), "user.containers.override_stat", "0:0:0666:char-1-3");
  write_file(upper("/owned"), "");
  set_xattr(upper("/owned"), "user.containers.override_stat", "0:0:4755:file");

  const std::map<std::string, Seen> seen = load();
  Op op(caller(), session());
  const Node* dir = node(op, "");
  ASSERT_EQ(seen.size(), 11u);
  for (const auto& [name, entry] : seen) {
    Result<const Node*> found = lookup(op, *dir, Str(name.data(), name.size()));
    ASSERT_TRUE(found.ok()) << name;
    StatX st;
    ASSERT_EQ(shown_stat(op, *found.value(), &st).error(), 0);
    EXPECT_EQ(entry.ino, st.stx_ino) << name;
    EXPECT_EQ(entry.type, (st.stx_mode & S_IFMT) >> 12) << name;
  }
  for (const char* name : {"merged", "copied", "metadata", "link"})
    EXPECT_EQ(seen.at(name).ino, ino_of(lower("/") + name)) << name;
  EXPECT_EQ(seen.at("replaced").ino, ino_of(upper("/replaced")));
  EXPECT_EQ(seen.at("device").type, DT_CHR);
  EXPECT_EQ(seen.at("owned").type, DT_REG);
}

TEST_F(Listing, DotAndDotDotHaveTheirShownNumbers) {
  make_dir(lower("/d"));
  make_dir(lower("/d/e"));
  start();
  make_dir(upper("/d"));
  make_dir(upper("/d/e"));
  Op op(caller(), session());
  MergedListing listing;
  ASSERT_EQ(listing.load(op, *node(op, "/d/e")).error(), 0);
  EXPECT_EQ(listing[0].ino, ino_of(lower("/d/e")));
  EXPECT_EQ(listing[1].ino, ino_of(lower("/d")));
  ASSERT_EQ(listing.load(op, *node(op, "")).error(), 0);
  EXPECT_EQ(listing[0].ino, ino_of(lower()));
  EXPECT_EQ(listing[1].ino, ino_of(root()));
  EXPECT_EQ(listing[0].type, DT_DIR);
  EXPECT_EQ(listing[0].position, 0u);
}

TEST_F(Listing, OfASingleLayerIsRightToo) {
  make_dir(lower("/low"));
  write_file(lower("/low/x"), "");
  start();
  make_dir(upper("/up"));
  write_file(upper("/up/y"), "");
  whiteout("/up/z");
  EXPECT_EQ(names("/low"), (Names{"x"}));
  EXPECT_EQ(names("/up"), (Names{"y"}));
  EXPECT_TRUE(load("/up").count("y"));
}

TEST_F(Listing, ManyNamesAreInOrderAndComplete) {
  Names all;
  for (int i = 0; i < 3000; i++) {
    const std::string name = "file-" + std::to_string(i);
    write_file(lower("/" + name), "");
    all.insert(name);
  }
  start();
  for (int i = 0; i < 3000; i += 3) {
    whiteout("/file-" + std::to_string(i));
    all.erase("file-" + std::to_string(i));
  }
  for (int i = 2990; i < 3010; i++) {
    unlink(upper("/file-" + std::to_string(i)).c_str());
    write_file(upper("/file-" + std::to_string(i)), "");
    all.insert("file-" + std::to_string(i));
  }
  EXPECT_EQ(names(), all);
}

TEST_F(Listing, AnUnreadableLayerIsAnError) {
  if (geteuid() == 0) GTEST_SKIP() << "root reads everything";
  make_dir(lower("/d"));
  start();
  make_dir(upper("/d"));
  chmod(lower("/d").c_str(), 0);
  Op op(caller(), session());
  MergedListing listing;
  const Node* dir = node(op, "/d");
  EXPECT_EQ(listing.load(op, *dir).error(), EACCES);
  EXPECT_FALSE(listing.loaded());
  EXPECT_EQ(listing.size(), 0u);
}

using Emptiness = ListingTest;

TEST_F(Emptiness, Table) {
  for (const char* name :
       {"/low-empty", "/low-full", "/all-gone", "/one-left", "/new-in-upper", "/both-empty"})
    make_dir(lower(name));
  for (const char* name :
       {"/low-full/x", "/all-gone/x", "/all-gone/y", "/one-left/x", "/one-left/y"})
    write_file(lower(name), "");
  start();
  for (const char* name : {"/all-gone", "/one-left", "/new-in-upper", "/both-empty", "/up-empty",
                           "/up-full", "/up-whiteout"})
    make_dir(upper(name));
  for (const char* name : {"/all-gone/x", "/all-gone/y", "/one-left/x", "/up-whiteout/z"})
    whiteout(name);
  write_file(upper("/new-in-upper/n"), "");
  write_file(upper("/up-full/n"), "");
  EXPECT_TRUE(empty("/low-empty"));
  EXPECT_FALSE(empty("/low-full"));
  EXPECT_TRUE(empty("/all-gone"));
  EXPECT_FALSE(empty("/one-left"));
  EXPECT_FALSE(empty("/new-in-upper"));
  EXPECT_TRUE(empty("/both-empty"));
  EXPECT_TRUE(empty("/up-empty"));
  EXPECT_FALSE(empty("/up-full"));
  EXPECT_TRUE(empty("/up-whiteout"));
}

}  // namespace
}  // namespace ovl::testing
