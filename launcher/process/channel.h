// What the front and the keeper tell one another: fixed records over a socket pair of sequenced
// packets.
#pragma once

#include <signal.h>
#include <stdint.h>

#include <vector>

#include "core/base/unique_fd.h"
#include "launcher/session/upper_errors.h"

namespace ovl {

struct Message {
  enum Kind : uint32_t {
    // keeper -> front
    kStarted,  // value: pid of the command
    kStopped,  // value: signal that stopped the command; payload: the how many-th stop it is
    kContinued,
    kEnded,   // value: wait status of the command; payload: 1 when the session has ended too
    kErrors,  // errors: of writing to the uppers; an answer is waited for
    // front -> keeper
    kSignal,  // value: pass this signal on to the command
    kReady,   // the front has opened what it wants of the session's files
    kTold,    // those errors were told
    kResume,  // the front was continued: so shall the command be; payload: from which stop
  };
  Kind kind;
  int32_t value;
  int32_t queued;   // kSignal: sent by sigqueue(3), with
  int64_t payload;  // this value; else as above
  UpperErrors errors = {};
};

struct Channel {
  UniqueFd front, keeper;
};
Channel make_channel();  // throws Failure

// Best effort: the other side may be gone.
void send_message(int fd, const Message& message);
// False at the end: the other side is gone.
bool receive_message(int fd, Message* message);

// The signal mask and dispositions that the caller gave us; the command gets them back as they
// were.
struct CallerSignals {
  sigset_t mask;
  struct sigaction child;
};
// Blocks everything, and makes sure that children can be waited for.
CallerSignals take_signals();
void give_signals_back(const CallerSignals& signals);
UniqueFd all_signals_fd();  // throws Failure

// Closes every descriptor but these and 0, 1, 2. No other thread may have any.
void close_others(std::vector<int> keep);
// 0, 1 and 2, which are open, become /dev/null unless they are among these.
void leave_standard_streams(const std::vector<int>& keep);
void keep_only(const std::vector<int>& keep);  // both

}  // namespace ovl
