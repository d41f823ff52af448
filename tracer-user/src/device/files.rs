//! Which descriptors of a process are the same open file: what a file owns ends when the last of them is closed.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Descriptors of one process on one device that are told apart. Those beyond belong to one file, which does not end.
const DESCRIPTORS: usize = 256;

/// An open file, numbered in the order of first sight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct File(u64);

/// The descriptors of one process on one device.
#[derive(Default)]
pub(super) struct Files {
    open: BTreeMap<i32, File>,
    last: u64,
}

impl Files {
    /// The file of a descriptor.
    pub(super) fn of(&mut self, fd: i32) -> File {
        if let Some(file) = self.open.get(&fd) {
            return *file;
        }
        if self.open.len() >= DESCRIPTORS {
            return File::default();
        }
        self.last += 1;
        self.open.insert(fd, File(self.last));
        File(self.last)
    }

    /// A descriptor of a file of its own.
    pub(super) fn opened(&mut self, fd: i32) {
        self.open.remove(&fd);
        self.of(fd);
    }

    /// A descriptor of the same file as another.
    pub(super) fn duplicated(&mut self, fd: i32, new_fd: i32) {
        let file = self.of(fd);
        self.open.remove(&new_fd);
        if file != File::default() && self.open.len() < DESCRIPTORS {
            self.open.insert(new_fd, file);
        }
    }

    /// Descriptors were closed; the files of which none is left.
    pub(super) fn closed(&mut self, fds: &RangeInclusive<i64>) -> Vec<File> {
        let gone = |fd: &i32| fds.contains(&i64::from(*fd));
        let files: Vec<File> = self.open.iter().filter(|(fd, _)| gone(fd)).map(|(_, file)| *file).collect();
        self.open.retain(|fd, _| !gone(fd));
        files.into_iter().filter(|file| !self.open.values().any(|open| open == file)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_ends_with_its_last_descriptor() {
        let mut files = Files::default();
        let (first, other) = (files.of(3), files.of(4));
        assert!(first != other && files.of(3) == first);
        files.duplicated(3, 5);
        assert_eq!(files.closed(&(3..=3)), []);
        assert_eq!(files.closed(&(5..=9)), [first]);
        files.opened(4);
        assert!(files.of(4) != other);
        for fd in 0..300 {
            files.opened(fd);
        }
        assert_eq!(files.of(299), File::default());
        files.closed(&(0..=0));
        files.duplicated(299, 0);
        assert!(!files.closed(&(0..=0)).contains(&File::default()), "others are still open");
    }
}
