//! Reads what strace wrote (`strace -f -y -o`): the calls on some files, in the order in which they began.

use std::collections::BTreeMap;

/// A call on a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// Thread that made it.
    pub(super) thread: u32,
    /// `ioctl`, or `read` or `write` for every relative of theirs.
    pub(super) call: &'static str,
    /// Path of the file, as strace shows it.
    pub(super) file: String,
    /// What an `ioctl` may be called, without arguments: some have one number and several names. As it stands in the
    /// text where strace has no name (`_IOC(_IOC_READ, 0x12, 0x34, 0x8)`). For other calls `call` alone.
    pub(super) names: Vec<String>,
    /// The errno's name, empty if it did not fail; `killed` if it never returned.
    pub(super) error: String,
}

/// Calls whose descriptors can be a device's, and what they count as.
const CALLS: [(&str, &str); 11] = [
    ("ioctl", "ioctl"),
    ("read", "read"),
    ("readv", "read"),
    ("pread64", "read"),
    ("preadv", "read"),
    ("preadv2", "read"),
    ("write", "write"),
    ("writev", "write"),
    ("pwrite64", "write"),
    ("pwritev", "write"),
    ("pwritev2", "write"),
];

/// Every call in `text` whose file is one of `files`, in the order of their beginnings; calls that the kernel itself
/// restarted are one. With them all threads that `text` is about.
pub(super) fn read(text: &str, is_of: impl Fn(&str) -> bool) -> (Vec<Call>, Vec<u32>) {
    let mut calls: Vec<Call> = Vec::new();
    let mut threads = Vec::new();
    // By thread: the line's beginning and the place of the call that has not returned.
    let mut unfinished: BTreeMap<u32, (String, usize)> = BTreeMap::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.trim_start().split_once(' ') else { continue };
        let Ok(thread) = thread.parse::<u32>() else { continue };
        let rest = rest.trim_start();
        if !threads.contains(&thread) {
            threads.push(thread);
        }
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            if let Some(call) = call(thread, begun, "killed").filter(|call| is_of(&call.file)) {
                unfinished.insert(thread, (begun.to_owned(), calls.len()));
                calls.push(call);
            }
        } else if rest.starts_with("<... ") {
            let Some((begun, place)) = unfinished.remove(&thread) else { continue };
            let ended = rest.split_once("resumed>").map_or("", |(_, ended)| ended);
            let whole = call(thread, &(begun + ended), "");
            if let (Some(whole), Some(call)) = (whole, calls.get_mut(place)) {
                *call = whole;
            }
        } else {
            calls.extend(call(thread, rest, "").filter(|call| is_of(&call.file)));
        }
    }
    // What will be made again, or was ended by nothing but that, is told once: as it ended.
    calls.retain(|call| !call.error.starts_with("ERESTART"));
    (calls, threads)
}

/// The call in a line. `open` is its error if the line has no result.
fn call(thread: u32, line: &str, open: &str) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    let call = CALLS.iter().find(|(known, _)| *known == name)?.1;
    let (descriptor, rest) = rest.split_once('<')?;
    descriptor.parse::<u32>().ok()?;
    // strace writes `<` and `>` in paths as octal numbers.
    let (file, rest) = rest.split_once('>')?;
    // Unplugged: its node is gone.
    let rest = rest.strip_prefix("(deleted)").unwrap_or(rest);
    let error = match rest.rsplit_once(" = ") {
        _ if !open.is_empty() => open,
        None => "killed",
        Some((_, result)) => {
            let failed = result.strip_prefix("-1 ").or_else(|| result.strip_prefix("? "));
            failed.and_then(|words| words.split_whitespace().next()).unwrap_or("")
        }
    };
    let names = if call == "ioctl" { names(rest.strip_prefix(", ")?) } else { vec![call.to_owned()] };
    Some(Call { thread, call, file: file.to_owned(), names, error: error.to_owned() })
}

/// The names that begin the arguments of an `ioctl` after the descriptor.
fn names(arguments: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let end = arguments.find(|letter| {
        match letter {
            '(' => depth += 1,
            ')' if depth == 0 => return true,
            ')' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 0
    });
    let whole = arguments.get(..end.unwrap_or(arguments.len())).unwrap_or_default();
    let plain = |name: &str| match name.split_once('(') {
        Some((plain, _)) if plain != "_IOC" => plain.to_owned(),
        _ => name.trim_end().to_owned(),
    };
    whole.split(" or ").map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brief(text: &str) -> Vec<String> {
        let (calls, _) = read(text, |file| file.starts_with("/dev/"));
        calls.iter().map(|call| format!("{} {}", call.names.join("|"), call.error)).collect()
    }

    #[test]
    fn reads_names_and_errors() {
        let text = "\
7 ioctl(3</dev/video0>, VIDIOC_QUERYCAP, {driver=\"vivid\", card=\"a = -1 EIO\"}) = 0
7 ioctl(3</dev/input/event0>, EVIOCGBIT(EV_KEY, 96), [KEY_A]) = 96
7 ioctl(3</dev/video0>, VIDIOC_G_CTRL, {id=0x1}) = -1 EINVAL (Invalid argument)
7 ioctl(3</dev/mtd0>, _IOC(_IOC_READ|_IOC_WRITE, 0x4d, 0x1a, 0x40), 0x7ffd) = -1 ENOTTY (Inappropriate ioctl for device)
7 ioctl(3</dev/x>, TCGETS or SNDCTL_TMR_TIMEBASE, 0x7ffd) = -1 ENOTTY (Inappropriate ioctl for device)
7 ioctl(1</tmp/x>, TCGETS, 0x7ffd) = -1 ENOTTY (Inappropriate ioctl for device)
7 pread64(3</dev/x>, \"ab\", 2, 0) = 2
7 ioctl(3</dev/x>, RTC_AIE_ON) = 0
7 ioctl(3</dev/x>(deleted), TCGETS, 0x7ffd) = -1 EIO (Input/output error)
7 exit_group(0) = ?
";
        assert_eq!(
            brief(text),
            [
                "VIDIOC_QUERYCAP ",
                "EVIOCGBIT ",
                "VIDIOC_G_CTRL EINVAL",
                "_IOC(_IOC_READ|_IOC_WRITE, 0x4d, 0x1a, 0x40) ENOTTY",
                "TCGETS|SNDCTL_TMR_TIMEBASE ENOTTY",
                "read ",
                "RTC_AIE_ON ",
                "TCGETS EIO",
            ]
        );
    }

    #[test]
    fn calls_that_others_interrupt_keep_their_place_and_restarted_ones_are_one() {
        let text = "\
7 read(3</dev/x>,  <unfinished ...>
8 write(4</dev/x>, \"a\", 1) = 1
7 <... read resumed>\"b\", 9) = -1 EIO (Input/output error)
8 read(4</dev/x>, 0x1, 9) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)
8 --- SIGCHLD {si_signo=SIGCHLD} ---
8 read(4</dev/x>, \"c\", 9) = 1
9 ioctl(5</dev/x>, KVM_RUN <unfinished ...>
9 +++ killed by SIGKILL +++
";
        assert_eq!(brief(text), ["read EIO", "write ", "read ", "KVM_RUN killed"]);
        assert_eq!(read(text, |_| true).1, [7, 8, 9]);
    }
}
