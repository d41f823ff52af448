//! Hostile input for the pure layers: what bytes mean to each [`Target`], and what has to hold whatever they are.
//!
//! A target turns bytes into calls of the interface that the pipeline uses, and panics if a promise is broken. Who makes
//! the bytes is another matter: libFuzzer, guided by coverage (`cargo xtask fuzz`, `main.rs`), or chance (the unit
//! test below).

mod broker;
mod devices;
mod input;
mod records;
mod stream;

use std::fmt;

use iotrail::model::op::System;

/// What is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Calls on devices of a class.
    Device(&'static str),
    /// Bytes of a connection to a broker.
    Broker(System),
    /// Chunks of a byte stream: lost, late, twice.
    Stream,
    /// Records as they come from the kernel side.
    Records,
}

/// Every target.
pub fn targets() -> impl Iterator<Item = Target> {
    // A class without a decoder of its own stands for all of those.
    let classes = iotrail::device::classes().chain(["toaster"]);
    let brokers = iotrail::proto::table().iter().map(|row| Target::Broker(row.system));
    classes.map(Target::Device).chain(brokers).chain([Target::Stream, Target::Records])
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Device(class) => class,
            Self::Broker(system) => system.name(),
            Self::Stream => "stream",
            Self::Records => "records",
        })
    }
}

impl Target {
    /// Feeds what `data` stands for.
    ///
    /// # Panics
    /// If it makes a decoder panic or break a promise.
    pub fn run(self, data: &[u8]) {
        match self {
            Self::Device(class) => devices::run(class, data),
            Self::Broker(system) => broker::run(system, data),
            Self::Stream => stream::run(data),
            Self::Records => records::run(data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_names_of_their_own() {
        let mut names: Vec<String> = targets().map(|target| target.to_string()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        assert!(names.len() > 8, "{names:?}");
    }

    #[test]
    fn chance_finds_nothing() {
        for target in targets() {
            let mut random = fastrand::Rng::with_seed(7);
            for round in 0..400 {
                // Small bytes make more sense as operations and lengths than large ones.
                let most = *random.choice(&[3, 20, 255]).unwrap_or(&255);
                let data: Vec<u8> = (0..round * 2).map(|_| random.u8(..=most)).collect();
                target.run(&data);
            }
        }
    }
}
