//! What drivers did on their buses, until the command that it was for is complete.

use std::collections::HashMap;

use crate::model::command::Transaction;
use crate::model::time::Timestamp;

/// Calls whose transactions are kept: commands under way, and those that never make a span.
const CALLS: usize = 4096;

/// Transactions of one call; `SG_IO` makes two, a large transfer with `O_DIRECT` some dozens.
const EACH: usize = 32;

/// A thread and when its call began.
type Key = (u32, Timestamp);

/// Transactions by call.
#[derive(Default)]
pub(super) struct Transactions {
    calls: HashMap<Key, Vec<Transaction>>,
}

impl Transactions {
    /// Keeps one; returns how many were given up for it.
    pub(super) fn add(&mut self, call: Key, transaction: Transaction) -> u64 {
        let mut lost = 0;
        if self.calls.len() >= CALLS && !self.calls.contains_key(&call) {
            lost = self.forget_older();
        }
        let all = self.calls.entry(call).or_default();
        if all.len() >= EACH {
            return lost + 1;
        }
        all.push(transaction);
        lost
    }

    /// Gives up the older half of the calls: those that never make a span are among them.
    fn forget_older(&mut self) -> u64 {
        let mut begins: Vec<Timestamp> = self.calls.keys().map(|(_, begin)| *begin).collect();
        let (_, median, _) = begins.select_nth_unstable(CALLS / 2);
        let newest_old = *median;
        let old = self.calls.extract_if(|(_, begin), _| *begin <= newest_old);
        old.map(|(_, all)| all.len() as u64).sum()
    }

    /// Those of a call that is complete, in the order of their ends.
    pub(super) fn take(&mut self, call: Key) -> Vec<Transaction> {
        if self.calls.is_empty() { Vec::new() } else { self.calls.remove(&call).unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::command::Status;
    use crate::model::time::Interval;
    use tracer_common::bus::Bus;

    fn transaction(amount: u64) -> Transaction {
        let at = Interval { start: Timestamp(1), end: Timestamp(2) };
        Transaction { bus: Bus::I2c, at, amount, status: Status::Ok }
    }

    #[test]
    fn each_call_gets_its_own_once() {
        let mut all = Transactions::default();
        for (tid, amount) in [(1, 10), (2, 20), (1, 11)] {
            assert_eq!(all.add((tid, Timestamp(5)), transaction(amount)), 0);
        }
        assert_eq!(all.take((1, Timestamp(6))), []);
        assert_eq!(all.take((1, Timestamp(5))), [transaction(10), transaction(11)]);
        assert_eq!(all.take((1, Timestamp(5))), []);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut all = Transactions::default();
        let one_call: u64 = (0..40).map(|amount| all.add((1, Timestamp(0)), transaction(amount))).sum();
        assert_eq!((one_call, all.take((1, Timestamp(0))).len()), (8, 32));
        let many: u64 = (0..5000).map(|at| all.add((1, Timestamp(at)), transaction(0))).sum();
        // The older half and the one in the middle went, and what is newer is there.
        assert_eq!(many, 2049);
        assert_eq!(all.take((1, Timestamp(4000))), [transaction(0)]);
        assert_eq!(all.take((1, Timestamp(2000))), []);
    }
}
