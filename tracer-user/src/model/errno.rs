//! The names of errno numbers, as `error.type` has them.

use std::borrow::Cow;

/// The name of `errno`: `EIO`, `ETIMEDOUT`, … and for a number that has none `errno_N`.
///
/// The kernel's own "restart this call" numbers are what the program sees in their stead.
#[must_use]
pub fn name(errno: u32) -> Cow<'static, str> {
    match NAMES.binary_search_by_key(&errno, |(number, _)| *number) {
        Ok(row) => Cow::Borrowed(NAMES.get(row).map_or("", |(_, name)| name)),
        Err(_) => Cow::Owned(format!("errno_{errno}")),
    }
}

/// Whether `kind`, an `error.type`, is what [`name`] gives.
#[must_use]
pub fn is_name(kind: &str) -> bool {
    kind.starts_with("errno_") || NAMES.iter().any(|(_, name)| *name == kind)
}

/// `EINTR`.
pub const EINTR: u32 = 4;
/// `EIO`.
pub const EIO: u32 = 5;
/// `EAGAIN`, also known as `EWOULDBLOCK`.
pub const EAGAIN: u32 = 11;
/// `ENODEV`.
pub const ENODEV: u32 = 19;
/// `ENOTTY`.
pub const ENOTTY: u32 = 25;

/// Whether a signal cut the call short: `EINTR`, or one of the kernel's restart numbers.
#[must_use]
pub fn is_interrupted(errno: u32) -> bool {
    matches!(errno, EINTR | 512..=514 | 516)
}

/// `include/uapi/asm-generic/errno-base.h`, `errno.h`, and from 512 `include/linux/errno.h`. Sorted by number;
/// amd64, arm64 and their 32-bit modes share it.
const NAMES: &[(u32, &str)] = &[
    (1, "EPERM"),
    (2, "ENOENT"),
    (3, "ESRCH"),
    (4, "EINTR"),
    (5, "EIO"),
    (6, "ENXIO"),
    (7, "E2BIG"),
    (8, "ENOEXEC"),
    (9, "EBADF"),
    (10, "ECHILD"),
    (11, "EAGAIN"),
    (12, "ENOMEM"),
    (13, "EACCES"),
    (14, "EFAULT"),
    (15, "ENOTBLK"),
    (16, "EBUSY"),
    (17, "EEXIST"),
    (18, "EXDEV"),
    (19, "ENODEV"),
    (20, "ENOTDIR"),
    (21, "EISDIR"),
    (22, "EINVAL"),
    (23, "ENFILE"),
    (24, "EMFILE"),
    (25, "ENOTTY"),
    (26, "ETXTBSY"),
    (27, "EFBIG"),
    (28, "ENOSPC"),
    (29, "ESPIPE"),
    (30, "EROFS"),
    (31, "EMLINK"),
    (32, "EPIPE"),
    (33, "EDOM"),
    (34, "ERANGE"),
    (35, "EDEADLK"),
    (36, "ENAMETOOLONG"),
    (37, "ENOLCK"),
    (38, "ENOSYS"),
    (39, "ENOTEMPTY"),
    (40, "ELOOP"),
    (42, "ENOMSG"),
    (43, "EIDRM"),
    (44, "ECHRNG"),
    (45, "EL2NSYNC"),
    (46, "EL3HLT"),
    (47, "EL3RST"),
    (48, "ELNRNG"),
    (49, "EUNATCH"),
    (50, "ENOCSI"),
    (51, "EL2HLT"),
    (52, "EBADE"),
    (53, "EBADR"),
    (54, "EXFULL"),
    (55, "ENOANO"),
    (56, "EBADRQC"),
    (57, "EBADSLT"),
    (59, "EBFONT"),
    (60, "ENOSTR"),
    (61, "ENODATA"),
    (62, "ETIME"),
    (63, "ENOSR"),
    (64, "ENONET"),
    (65, "ENOPKG"),
    (66, "EREMOTE"),
    (67, "ENOLINK"),
    (68, "EADV"),
    (69, "ESRMNT"),
    (70, "ECOMM"),
    (71, "EPROTO"),
    (72, "EMULTIHOP"),
    (73, "EDOTDOT"),
    (74, "EBADMSG"),
    (75, "EOVERFLOW"),
    (76, "ENOTUNIQ"),
    (77, "EBADFD"),
    (78, "EREMCHG"),
    (79, "ELIBACC"),
    (80, "ELIBBAD"),
    (81, "ELIBSCN"),
    (82, "ELIBMAX"),
    (83, "ELIBEXEC"),
    (84, "EILSEQ"),
    (85, "ERESTART"),
    (86, "ESTRPIPE"),
    (87, "EUSERS"),
    (88, "ENOTSOCK"),
    (89, "EDESTADDRREQ"),
    (90, "EMSGSIZE"),
    (91, "EPROTOTYPE"),
    (92, "ENOPROTOOPT"),
    (93, "EPROTONOSUPPORT"),
    (94, "ESOCKTNOSUPPORT"),
    (95, "EOPNOTSUPP"),
    (96, "EPFNOSUPPORT"),
    (97, "EAFNOSUPPORT"),
    (98, "EADDRINUSE"),
    (99, "EADDRNOTAVAIL"),
    (100, "ENETDOWN"),
    (101, "ENETUNREACH"),
    (102, "ENETRESET"),
    (103, "ECONNABORTED"),
    (104, "ECONNRESET"),
    (105, "ENOBUFS"),
    (106, "EISCONN"),
    (107, "ENOTCONN"),
    (108, "ESHUTDOWN"),
    (109, "ETOOMANYREFS"),
    (110, "ETIMEDOUT"),
    (111, "ECONNREFUSED"),
    (112, "EHOSTDOWN"),
    (113, "EHOSTUNREACH"),
    (114, "EALREADY"),
    (115, "EINPROGRESS"),
    (116, "ESTALE"),
    (117, "EUCLEAN"),
    (118, "ENOTNAM"),
    (119, "ENAVAIL"),
    (120, "EISNAM"),
    (121, "EREMOTEIO"),
    (122, "EDQUOT"),
    (123, "ENOMEDIUM"),
    (124, "EMEDIUMTYPE"),
    (125, "ECANCELED"),
    (126, "ENOKEY"),
    (127, "EKEYEXPIRED"),
    (128, "EKEYREVOKED"),
    (129, "EKEYREJECTED"),
    (130, "EOWNERDEAD"),
    (131, "ENOTRECOVERABLE"),
    (132, "ERFKILL"),
    (133, "EHWPOISON"),
    // ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND
    (512, "EINTR"),
    (513, "EINTR"),
    (514, "EINTR"),
    // ENOIOCTLCMD
    (515, "ENOTTY"),
    // ERESTART_RESTARTBLOCK
    (516, "EINTR"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_names() {
        for (number, expected) in [
            (1, "EPERM"),
            (EINTR, "EINTR"),
            (EIO, "EIO"),
            (EAGAIN, "EAGAIN"),
            (ENODEV, "ENODEV"),
            (ENOTTY, "ENOTTY"),
            (110, "ETIMEDOUT"),
            (133, "EHWPOISON"),
            (512, "EINTR"),
            (515, "ENOTTY"),
            (516, "EINTR"),
            (0, "errno_0"),
            (41, "errno_41"),
            (u32::MAX, "errno_4294967295"),
        ] {
            assert_eq!(name(number), expected);
        }
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(NAMES.is_sorted_by(|low, high| low.0 < high.0), "the search is binary");
    }
}
