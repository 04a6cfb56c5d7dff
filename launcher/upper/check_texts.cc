// What there is to find, in words.
#include <stddef.h>

#include <iterator>

#include "launcher/failure.h"
#include "launcher/upper/check.h"

namespace ovl {
namespace {

using enum FindingKind;
using enum Severity;

// In the order of FindingKind.
constexpr FindingText kTexts[] = {
    {kUnknownMark, kError, "has the mark {}, which this version does not know", nullptr, nullptr},
    {kBadMark, kError, "its mark {} is none that can be", nullptr, nullptr},
    {kBadRedirectOfWhole, kError, "its mark {} is none that can be, and keeps it from being opened",
     "remove the mark", "removed the mark"},
    {kBadOrigin, kError, "its mark {} is none that can be: its inode number is another one",
     "make it say that the origin is not known", "the origin is not known now"},
    {kBadImpure, kNote, "its mark {} is none that can be", "set it again", "set it again"},
    {kMisplacedMark, kNote, "its mark {} means nothing on an object of this type",
     "remove the mark", "removed the mark"},
    {kFillingKilled, kNote,
     "its data was on its way when that was killed: a kernel mount shows other times",
     "make it as it was before", "is as it was before"},
    {kBadRecord, kError, "its recorded owner and mode ({}) can't be read: the real ones are shown",
     nullptr, nullptr},
    {kRecordedType, kError, "is recorded as {}, which it can't be", nullptr, nullptr},

    {kLostDirectory, kError,
     "what it was in the lower ({}) is missing there: what it had from there can't be seen",
     nullptr, nullptr},
    {kLostData, kError, "its data are missing: there is no such file in the lower ({})", nullptr,
     nullptr},
    {kOtherSize, kError, "its data in the lower were changed: {}", nullptr, nullptr},
    {kOtherDigest, kError, "its data in the lower were changed: {} has another digest", nullptr,
     nullptr},
    {kOtherOrigin, kError, "its data in the lower were replaced: {} is another file now", nullptr,
     nullptr},
    {kNotFound, kError, "can't be opened: {}", nullptr, nullptr},
    {kEndedRedirect, kNote, "has a redirect ({}) that its being opaque has ended",
     "remove the redirect", "removed the redirect"},
    {kMissingImpure, kNote,
     "lacks the mark impure, which {} in it needs: listings of a kernel mount may show another "
     "inode number than stat",
     "set it", "set it"},
    {kNoMark, kError,
     "is missing, though {} refers to the lower: a kernel mount would misread the upper", "make it",
     "made it"},

    {kWhiteoutInOpaque, kNote, "a whiteout in an opaque directory, which hides nothing",
     "remove it", "removed"},
    {kWhiteoutInNew, kNote, "a whiteout in a directory that no lower has, which hides nothing",
     "remove it", "removed"},
    {kWhiteoutOverNothing, kNote, "a whiteout that hides nothing", "remove it", "removed"},
    {kUnannouncedWhiteout, kNote,
     "a whiteout that is a file, in a directory that does not say that it may have such",
     "set the directory's mark", "set the directory's mark"},

    {kUnknownEntry, kError, "is nothing that is known in an index", nullptr, nullptr},
    {kOtherEntry, kError,
     "its origin is not the one under which it stands in the index: a kernel mount would take it "
     "out",
     "set the origin", "set the origin"},
    {kForgottenEntry, kNote, "is a file in the index that has lost its last name", "remove it",
     "removed"},
    {kBadCount, kError, "its link count ({}) can't be read", nullptr, nullptr},
    {kLowCount, kError, "its link count is too low: {}", nullptr, nullptr},
    {kHighCount, kError, "its link count is too high: {}", nullptr, nullptr},
    {kNoEntry, kNote,
     "its link count is kept as in an index, but the workdir has no entry of it: 'ovlrun settle' "
     "forgets it",
     nullptr, nullptr},

    {kTemporary, kNote, "was left by an operation that was killed", "remove it", "removed"},
    {kSettleKilled, kNote, "was left by 'ovlrun settle', which was killed: run that again", nullptr,
     nullptr},
    {kCompanionOfNothing, kNote, "was kept beside an object that is no more", "remove it",
     "removed"},
    {kUnknownCompanion, kError, "is nothing that is known here", nullptr, nullptr},
    {kVolatile, kError,
     "its session was volatile and did not end properly: after a crash of the system data may be "
     "missing",
     nullptr, nullptr},
    {kUnknownFeature, kError, "the upper was used with this feature, which is not known here",
     nullptr, nullptr},
};

constexpr bool in_order() {
  for (size_t i = 0; i < std::size(kTexts); i++)
    if (kTexts[i].kind != static_cast<FindingKind>(i)) return false;
  return std::size(kTexts) == static_cast<size_t>(kCount);
}
static_assert(in_order());

}  // namespace

const FindingText& text_of(FindingKind kind) { return kTexts[static_cast<size_t>(kind)]; }

std::string line_of(const Finding& finding) {
  const FindingText& texts = text_of(finding.kind);
  std::string text = texts.text;
  if (const size_t place = text.find("{}"); place != std::string::npos)
    text.replace(place, 2, finding.detail);
  return fmt::format("{} {}: {}", texts.severity == kError ? "error" : "note", quote(finding.path),
                     text);
}

}  // namespace ovl
