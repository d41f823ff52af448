//! The numbers of commands, against what the kernel's own headers say.

use std::collections::BTreeSet;

use crate::device::class::{self, CLASSES};

/// Class, command, its number in 64-bit programs and those in 32-bit ones.
fn lines() -> impl Iterator<Item = (&'static str, &'static str, Vec<u32>)> {
    let hex = |word: &str| u32::from_str_radix(word.trim_start_matches("0x"), 16).unwrap();
    let lines = include_str!("numbers.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(move |line| {
        let words: Vec<&'static str> = line.split(' ').collect();
        (words[0], words[1], words[2..].iter().map(|word| hex(word)).collect())
    })
}

#[test]
fn every_command_is_found_by_the_number_of_the_header() {
    for (class, name, numbers) in lines() {
        assert!(numbers.len() > 1, "{name}");
        for (compat, number) in numbers.iter().enumerate().map(|(index, number)| (index > 0, *number)) {
            let found = class::find(class).row(number, compat).map(|row| row.name);
            assert_eq!(found, Some(name), "{class} {number:#x} compat {compat}");
        }
    }
}

#[test]
fn every_command_of_these_classes_is_compared() {
    let known: BTreeSet<_> = lines().map(|(class, name, _)| (class, name)).collect();
    let classes: BTreeSet<_> = known.iter().map(|(class, _)| *class).collect();
    for class in CLASSES.iter().filter(|class| classes.contains(class.name)) {
        for row in class.ioctls {
            assert!(known.contains(&(class.name, row.name)), "{} {}", class.name, row.name);
        }
    }
}
