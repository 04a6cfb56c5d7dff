// Private xattrs that an upper object gets, and the mark that keeps an upper away from a kernel
// that would misread it.
#pragma once

#include "core/copy_up/copy_up.h"
#include "core/format/format.h"

namespace ovl {

// The whiteout in the inner workdir that the others are hard links to, where they are devices.
constexpr char kSharedWhiteout[] = "#whiteout";

// Writes a private xattr to a file or directory of the upper or workdir. One whose real mode keeps
// its owner from that gets u+rw (u+rwx) first, and the mode that it shows is recorded.
Result<void> set_mark(Op& op, const Overlay& overlay, CStr real, Priv which, Str value);

// The real mode of a directory or file of the upper must not keep us out: one that does (the
// kernel's mount or a umask made it so) is recorded from now on.
Result<void> keep_open_to_us(Op& op, const Overlay& overlay, CStr real);

// opaque=y: nothing below the directory shows through.
Result<void> mark_opaque(Op& op, const Overlay& overlay, CStr real);
// opaque=x: the directory (in the upper) may hold xattr whiteouts. The kernel honours that in
// lowers only. An opaque one stays so.
Result<void> mark_xattr_whiteouts(Op& op, const Overlay& overlay, CStr real);
// impure=y on an upper directory that holds an object with an origin: the kernel's readdir looks
// d_ino up then.
Result<void> mark_impure(Op& op, const Node& dir);

// Before the first redirect, metacopy or xattr whiteout of an upper: incompat/ovlrun in the inner
// workdir, which makes the kernel refuse a mount that would misread it: on disk when this returns,
// since what follows may come there at once (by an fsync of the file alone). Only under the prefix
// user: the kernel reads them under trusted.
Result<void> mark_unportable(Op& op, const Overlay& overlay);

// The origin of an upper file that is a copy of the real object `lower`: its whole handle, or
// nothing where that can't be had. `fd`: a descriptor on it, or -1. out[kFileHandleMax]. Returns
// the size.
Result<size_t> origin_of(const LowerRef& lower, int fd, void* out);
// Before a copied-up file gets another name: lookup by name will not find what it was copied from,
// so the origin has to hold the whole handle. Where it can't, the origin goes: all its names then
// show the upper's own number.
Result<void> make_origin_whole(Op& op, const Node& node);

}  // namespace ovl
