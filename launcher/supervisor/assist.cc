// See assist.h.
#include "launcher/supervisor/assist.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>

#include <algorithm>
#include <bit>

#include "launcher/failure.h"
#include "launcher/supervisor/tracee.h"

namespace ovl {
namespace {

constexpr size_t kHead = 64;              // in front of the bytes of a call, for the marker
constexpr size_t kKept = 64 << 10;        // what stays mapped for the next time
constexpr unsigned long kGranule = 4096;  // of mappings

size_t round_up(size_t value, size_t step) { return (value + step - 1) & ~(step - 1); }

}  // namespace

TaskCall::TaskCall(CallAbi abi, long number, std::initializer_list<unsigned long> arguments)
    : abi_(abi), number_(number) {
  std::fill(std::begin(argument_to_), std::end(argument_to_), kNowhere);
  if (arguments.size() > kArguments) fail("assist: a call of {} arguments", arguments.size());
  std::copy(arguments.begin(), arguments.end(), arguments_);
}

size_t TaskCall::put(const void* bytes, size_t size, size_t align) {
  const size_t at = round_up(bytes_.size(), align);
  bytes_.resize(at);
  bytes_.append(static_cast<const char*>(bytes), size);
  return at;
}

size_t TaskCall::put_string(const char* text) { return put(text, strlen(text) + 1); }

size_t TaskCall::put_words(size_t count) {
  const size_t at = round_up(bytes_.size(), word());
  bytes_.resize(at + count * word());
  return at;
}

void TaskCall::point(size_t at, size_t to) { pointers_.push_back({at, to}); }

void TaskCall::copy_back(size_t at, size_t size, unsigned long to) {
  backs_.push_back({at, size, to});
}

void TaskCall::name_program(std::string file, std::string called) {
  file_ = std::move(file);
  called_ = std::move(called);
}

void TaskCall::point_argument(int argument, size_t to) { argument_to_[argument] = to; }

void TaskCall::place(unsigned long address, unsigned long (&arguments)[kCallArguments],
                     std::string& bytes) const {
  bytes = bytes_;
  for (const Pointer& p : pointers_) {
    const unsigned long value = address + p.to;  // little-endian: its low half comes first
    memcpy(bytes.data() + p.at, &value, word());
  }
  for (int i = 0; i < kArguments; i++)
    arguments[i] = argument_to_[i] == kNowhere ? arguments_[i] : address + argument_to_[i];
}

// One run: Assist::run's local state.
class AssistRun {
 public:
  AssistRun(Assist& assist, uint64_t id, pid_t tid, const TaskCall& call)
      : assist_(assist),
        id_(id),
        tid_(tid),
        call_(call),
        table_(call_table(call.abi())),
        task_(tid) {}
  AssistRun(const AssistRun&) = delete;
  AssistRun& operator=(const AssistRun&) = delete;
  ~AssistRun();

  AssistOutcome go();
  // Requires: the table's lock.
  bool is_calling() const { return phase_ == Phase::kCalling; }

 private:
  // How a call that the task was made to make ended.
  enum class Step {
    kReturned,
    kExecuted,  // it was an exec, and a new program is there
    kStopped,   // a signal came before the call was entered
    kGone,
  };
  enum class Signals { kHeld, kFree };  // from the entry of the call on

  // As other runs for the same task need to know.
  enum class Phase {
    kFailed,    // it is not the tracer
    kEntering,  // it may become the tracer
    kSeized,
    kInterrupted,  // the task can't go on without a stop
    kBegun,        // the task makes calls of ours
    kCalling,      // among them the one that is meant, which notifies: there is no pass
  };

  void enter(Phase phase);
  bool seize(AssistOutcome& outcome);
  void unclaim();
  void answer_restart() const;
  bool stop();
  Step perform(long number, const unsigned long (&arguments)[kCallArguments], Signals signals,
               long& result);
  Step map(unsigned long address, size_t size, int flags, unsigned long& got);
  Step make_room(unsigned long& base);
  long copy_back(unsigned long address, long result);
  void name_program();
  void trim();
  bool put_back();
  bool free_signals();

  Assist& assist_;
  const uint64_t id_;
  const pid_t tid_;
  const TaskCall& call_;
  const CallTable& table_;
  Tracee task_;
  std::multimap<pid_t, const AssistRun*>::iterator entry_;  // in the table of runs, if
  bool entered_ = false;
  Phase phase_ = Phase::kEntering;  // guarded by the table's lock
  int slot_ = Assist::kNoSlot;
  Registers back_;  // what the task goes on with when we let go of it
  int signal_ = 0;  // the signal that it then takes
  bool signals_held_ = false;
  uint64_t signal_mask_ = 0;  // its own, while they are held
  unsigned long mapped_ = 0;  // what is to be unmapped afterwards:
  size_t mapped_size_ = 0;
  bool mapped_in_slot_ = false;  // is the rest of a slot's mapping
};

AssistRun::~AssistRun() {
  if (task_.runs()) {
    task_.interrupt();
    if (phase_ == Phase::kSeized) enter(Phase::kInterrupted);
  }
  task_.halt();
  unclaim();
  task_.release();
  if (slot_ != Assist::kNoSlot) assist_.give_slot(slot_);
}

void AssistRun::enter(Phase phase) {
  const std::lock_guard lock(assist_.mutex_);
  if (!entered_) entry_ = assist_.runs_.emplace(tid_, this);
  entered_ = true;
  phase_ = phase;
  assist_.changed_.notify_all();
}

// Seizes the task. False: `outcome` tells why not.
bool AssistRun::seize(AssistOutcome& outcome) {
  for (;;) {
    enter(Phase::kEntering);
    if (task_.seize() == 0) {
      enter(Phase::kSeized);
      // Now it is sure to be the task of the notification, and nothing runs in it without a stop.
      outcome = {Assisted::kGone};
      return assist_.valid(id_);
    }
    enter(Phase::kFailed);
    // If its tracer is another run, that one is still in the table, or else has let go of the task
    // after this notification had ended.
    std::unique_lock lock(assist_.mutex_);
    const auto other = [&](Phase from, Phase to) {
      const auto [first, last] = assist_.runs_.equal_range(tid_);
      return std::any_of(first, last, [&](const auto& run) {
        return run.second != this && run.second->phase_ >= from && run.second->phase_ <= to;
      });
    };
    bool waited = false;
    while (other(Phase::kEntering, Phase::kSeized)) {
      assist_.changed_.wait(lock);
      waited = true;
    }
    if (other(Phase::kInterrupted, Phase::kInterrupted)) {
      // It has the task because of an earlier notification, and waits for a stop. Only with that
      // ahead does the kernel see the answer as a restart.
      answer_restart();
      outcome = {Assisted::kAgain};
      return false;
    }
    lock.unlock();
    if (waited && assist_.valid(id_)) continue;
    // The tracer is somebody else. Or a run's own call did not pass the filter, and must not hang.
    outcome = {assist_.valid(id_) ? Assisted::kRefused : Assisted::kGone};
    return false;
  }
}

// Must be done before the task can make its next call, and after its last one was interrupted.
void AssistRun::unclaim() {
  const std::lock_guard lock(assist_.mutex_);
  if (entered_) assist_.runs_.erase(entry_);
  entered_ = false;
  assist_.changed_.notify_all();
}

void AssistRun::answer_restart() const {
  seccomp_notif_resp response = {};
  response.id = id_;
  response.error = -static_cast<int>(Registers::kERestartNoIntr);
  // ENOENT: it was interrupted (by us, or a signal that its stop will show), or killed.
  (void)ioctl(assist_.listener_, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

// Brings the task to a stop in which `back_` restarts its call. False: it can't be made to call
// anything there.
bool AssistRun::stop() {
  if (!task_.interrupt()) return false;
  enter(Phase::kInterrupted);
  answer_restart();
  const Stop stop = task_.wait();
  if (stop == Stop::kGone || !task_.registers(back_)) return false;
  if (stop == Stop::kSignal) signal_ = task_.signal();
  // Not leaving a call: it was interrupted, is on its way to the restarted call, and has just not
  // reached it.
  if (!back_.restarts()) return false;
  // Also where a handler is to run first that would make an ERESTARTSYS an EINTR.
  back_.set_restart();
  return stop == Stop::kTrap;
}

bool AssistRun::free_signals() {
  if (signals_held_ && !task_.set_signal_mask(signal_mask_)) return false;
  signals_held_ = false;
  return true;
}

// Makes the task, which is leaving a call, make another. kReturned: it is leaving that one.
AssistRun::Step AssistRun::perform(long number, const unsigned long (&arguments)[kCallArguments],
                                   Signals signals, long& result) {
  if (!signals_held_) {
    if (!task_.signal_mask(signal_mask_) || !task_.set_signal_mask(~0ull)) return Step::kGone;
    signals_held_ = true;
  }
  Registers registers = back_;
  registers.set_call(call_.abi(), number, arguments);
  if (!task_.set_registers(registers)) return Step::kGone;
  for (bool entered = false; !entered;) {
    if (!task_.resume()) return Step::kGone;
    switch (task_.wait()) {
      case Stop::kCall:
        entered = true;
        break;
      case Stop::kTrap:  // a SIGCONT was sent
        break;
      case Stop::kSignal:
        signal_ = task_.signal();
        return Step::kStopped;
      case Stop::kGroup:
        return Step::kStopped;
      case Stop::kExec:
      case Stop::kGone:
        return Step::kGone;
    }
  }
  // What was held back interrupts the call, if it is one that can be interrupted.
  if (signals == Signals::kFree && !free_signals()) return Step::kGone;
  for (;;) {
    if (!task_.resume()) return Step::kGone;
    switch (task_.wait()) {
      case Stop::kCall:
        return task_.result(result) ? Step::kReturned : Step::kGone;
      case Stop::kExec:
        result = 0;
        return Step::kExecuted;
      case Stop::kGone:
        return Step::kGone;
      case Stop::kTrap:
      case Stop::kSignal:
      case Stop::kGroup:
        break;  // the kernel stops for none of these inside a call
    }
  }
}

// `got`: where, or 0.
AssistRun::Step AssistRun::map(unsigned long address, size_t size, int flags, unsigned long& got) {
  long result = 0;
  const unsigned long arguments[] = {
      address,
      size,
      PROT_READ | PROT_WRITE,
      static_cast<unsigned long>(MAP_PRIVATE | MAP_ANONYMOUS | flags),
      ~0ul,
      0};
  const Step step = perform(table_.mmap, arguments, Signals::kHeld, result);
  // The program's own filter may have given anything for it.
  const bool good = step == Step::kReturned && result > 0 && result % long{kGranule} == 0;
  got = good ? static_cast<unsigned long>(result) : 0;
  return step;
}

// Finds memory in the task for the call's bytes, behind kHead others: in its slot, where there may
// be a mapping from an earlier call (or from its parent's, before a fork), or else anywhere.
// kReturned with a base of 0: there is none.
AssistRun::Step AssistRun::make_room(unsigned long& base) {
  const size_t size = kHead + call_.size();
  base = 0;
  slot_ = assist_.take_slot();
  if (slot_ != Assist::kNoSlot && size <= table_.slot_stride) {
    const unsigned long slot =
        table_.slots + static_cast<unsigned long>(slot_) * table_.slot_stride;
    Assist::Marker marker = assist_.marker_;
    const bool ours = task_.read(slot, &marker, sizeof(marker)) == sizeof(marker) &&
                      memcmp(marker.secret, assist_.marker_.secret, sizeof(marker.secret)) == 0;
    if (!ours) marker = assist_.marker_;
    if (ours && size <= marker.size) {
      base = slot;
      // An exec that succeeded in a vfork child left its parent more.
      if (marker.size > kKept) {
        mapped_ = slot + kKept;
        mapped_size_ = marker.size - kKept;
        mapped_in_slot_ = true;
      }
      return Step::kReturned;
    }
    const size_t more = round_up(size, kKept) - marker.size;
    unsigned long got = 0;
    const Step step = map(slot + marker.size, more, MAP_FIXED_NOREPLACE, got);
    if (step != Step::kReturned) return step;
    if (got == slot + marker.size) {
      marker.size += more;
      if (task_.write(slot, &marker, sizeof(marker)) != sizeof(marker)) return Step::kReturned;
      if (marker.size > kKept) {
        mapped_ = slot + kKept;
        mapped_size_ = marker.size - kKept;
        mapped_in_slot_ = true;
      }
      base = slot;
      return Step::kReturned;
    }
    // Something of the program's is there.
  }
  mapped_size_ = round_up(size, kGranule);
  const Step step = map(0, mapped_size_, 0, mapped_);
  base = mapped_;
  return step;
}

// After the call, whose bytes are at `address`. Returns what it gives: less, where the task's own
// memory can't take the results.
long AssistRun::copy_back(unsigned long address, long result) {
  for (long i = 0; i < result && i < static_cast<long>(call_.backs().size()); i++) {
    const TaskCall::Back& back = call_.backs()[static_cast<size_t>(i)];
    std::string bytes(back.size, '\0');
    if (task_.read(address + back.at, bytes.data(), back.size) != back.size ||
        task_.write(back.to, bytes.data(), back.size) != back.size)
      return i != 0 ? i : -EFAULT;
  }
  return result;
}

// In a program that has not begun: its name where the kernel has put the file's.
void AssistRun::name_program() {
  if (call_.called().empty()) return;
  const unsigned long at = task_.auxiliary(AT_EXECFN);
  std::string there(call_.file().size(), '\0');
  if (at == 0 || task_.read(at, there.data(), there.size()) != there.size() ||
      there != call_.file())
    return;
  std::string name = call_.called();
  name.resize(there.size());
  task_.write(at, name.data(), name.size());
}

// After the call: gives back what was too much.
void AssistRun::trim() {
  if (mapped_ == 0) return;
  if (mapped_in_slot_) {
    Assist::Marker marker = assist_.marker_;
    marker.size = kKept;
    const unsigned long slot = mapped_ - kKept;
    if (task_.write(slot, &marker, sizeof(marker)) != sizeof(marker)) return;
  }
  long ignored = 0;
  const unsigned long arguments[] = {mapped_, mapped_size_, 0, 0, 0, 0};
  (void)perform(table_.munmap, arguments, Signals::kHeld, ignored);
}

bool AssistRun::put_back() {
  if (!task_.set_registers(back_) || !free_signals()) return false;
  // The kernel looks whether a call is to be restarted only where it believes that a signal is
  // pending. It has seen that there was none if we had the task make another call since, and a
  // thread beside it took the signal.
  if (back_.wants_restart() && !task_.interrupt()) return false;
  unclaim();
  return task_.detach(signal_);
}

AssistOutcome AssistRun::go() {
  AssistOutcome outcome;
  if (!seize(outcome)) return outcome;
  if (!stop()) {
    if (!back_.restarts()) return {Assisted::kGone};
    return {put_back() ? Assisted::kAgain : Assisted::kGone};
  }
  enter(Phase::kBegun);
  unsigned long base = 0;
  long result = -ENOMEM;
  Step step = make_room(base);
  if (step == Step::kReturned && base != 0) {
    unsigned long arguments[kCallArguments] = {};
    std::string bytes;
    call_.place(base + kHead, arguments, bytes);
    arguments[TaskCall::kArguments] = assist_.pass_[0];
    arguments[TaskCall::kArguments + 1] = assist_.pass_[1];
    if (!assist_.has_pass()) enter(Phase::kCalling);
    if (task_.write(base + kHead, bytes.data(), bytes.size()) == bytes.size())
      step = perform(call_.number(), arguments, Signals::kFree, result);
    if (step == Step::kReturned) result = copy_back(base + kHead, result);
  }
  switch (step) {
    case Step::kReturned:
      back_.set_result(result);
      trim();
      break;
    case Step::kExecuted:
      name_program();
      unclaim();
      if (!task_.detach()) return {Assisted::kGone};
      return {Assisted::kDone, 0};
    case Step::kStopped:
      return {put_back() ? Assisted::kAgain : Assisted::kGone};
    case Step::kGone:
      return {Assisted::kGone};
  }
  if (!put_back()) return {Assisted::kGone};
  return {Assisted::kDone, result};
}

Assist::Assist(int listener, uint32_t pass0, uint32_t pass1)
    : listener_(listener), pass_{pass0, pass1} {
  if (getrandom(marker_.secret, sizeof(marker_.secret), 0) != sizeof(marker_.secret))
    fail("no random numbers: {}", error_text(errno));
}

AssistOutcome Assist::run(uint64_t notification_id, pid_t tid, const TaskCall& call) {
  AssistRun run(*this, notification_id, tid, call);
  return run.go();
}

bool Assist::expects(pid_t tid) {
  if (has_pass()) return false;
  const std::lock_guard lock(mutex_);
  const auto [first, last] = runs_.equal_range(tid);
  return std::any_of(first, last, [](const auto& run) { return run.second->is_calling(); });
}

int Assist::take_slot() {
  const std::lock_guard lock(mutex_);
  const int slot = std::countr_one(slots_);
  if (slot == kSlots) return kNoSlot;
  slots_ |= uint64_t{1} << slot;
  return slot;
}

void Assist::give_slot(int slot) {
  const std::lock_guard lock(mutex_);
  slots_ &= ~(uint64_t{1} << slot);
}

bool Assist::valid(uint64_t notification_id) const {
  return ioctl(listener_, SECCOMP_IOCTL_NOTIF_ID_VALID, &notification_id) == 0;
}

}  // namespace ovl
