//! How sure edges are, by what they rest on.
//!
//! The figures of [`TABLE`] are *measured* precision: of the edges with that evidence, the part that joins a true
//! cause to its effect, as found by the accuracy harness over its workloads. They are kept in this one table so that the
//! harness can check them: it fails where a link is said to be more than 0.05 surer than it was measured.
//!
//! Measured by `cargo xtask test --live-only accuracy` (`tests/it/accuracy.rs`: 15 ways of writing sensors and actuators, 150
//! messages each) on two cores of a virtual machine, Linux 6.18, Mosquitto 2.0.11. A figure is at most the lower end of the
//! interval in which the true one lies with 95 %.
//!
//! | evidence | right | wrong | precision |
//! | --- | ---: | ---: | ---: |
//! | fingerprint, with or without position | 2400 | 0 | 1.000 |
//! | thread+containment | 1350 | 0 | 1.000 |
//! | thread | 150 | 0 | 1.000 |
//! | containment | 2899 | 1 | 1.000 |
//! | containment, ambiguous | 172 | 78 | 0.688 |
//!
//! Rows that no workload reaches (the protocols' own identities, the SDK, ambiguous ones but for containment) are guesses on
//! the safe side.

use crate::model::span::{Evidence, Evidences};

/// What an edge rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Proof {
    evidence: Evidences,
    /// Whether other candidates fitted too and the choice was made by order or recency.
    pub ambiguous: bool,
}

/// Number of different combinations of evidence.
pub const COMBINATIONS: usize = Evidences::COUNT;

/// Precision of edges: evidence, whether ambiguous, precision. The first row whose evidence an edge has wholly
/// applies, so rows with more evidence come first.
pub const TABLE: [(&[Evidence], bool, f64); 16] = [
    (&[Evidence::Traceparent], false, 1.0),
    (&[Evidence::Traceparent], true, 0.99),
    (&[Evidence::BrokerId], false, 1.0),
    (&[Evidence::BrokerId], true, 0.99),
    // Through a broker an edge is as sure as the way through it, however exact the two ends are.
    (&[Evidence::Fingerprint], false, 0.99),
    (&[Evidence::Fingerprint], true, 0.8),
    (&[Evidence::TcpPosition], false, 1.0),
    (&[Evidence::TcpPosition], true, 0.9),
    (&[Evidence::Sdk], false, 1.0),
    (&[Evidence::Sdk], true, 0.9),
    (&[Evidence::Thread, Evidence::Containment], false, 0.99),
    (&[Evidence::Thread, Evidence::Containment], true, 0.9),
    (&[Evidence::Thread], false, 0.97),
    (&[Evidence::Thread], true, 0.7),
    (&[Evidence::Containment], false, 0.99),
    (&[Evidence::Containment], true, 0.6),
];

impl Proof {
    /// Proof by `evidence`.
    #[must_use]
    pub fn of(evidence: &[Evidence]) -> Self {
        evidence.iter().fold(Self::default(), |proof, &kind| proof.with(kind))
    }

    /// The same with more evidence.
    #[must_use]
    pub fn with(self, evidence: Evidence) -> Self {
        Self { evidence: self.evidence.with(evidence), ..self }
    }

    /// The same with more evidence if `also`.
    #[must_use]
    pub fn with_if(self, also: bool, evidence: Evidence) -> Self {
        if also { self.with(evidence) } else { self }
    }

    /// The same, ambiguous or not.
    #[must_use]
    pub fn ambiguous(self, ambiguous: bool) -> Self {
        Self { ambiguous, ..self }
    }

    /// Which of the [`COMBINATIONS`] it is.
    #[must_use]
    pub fn index(self) -> usize {
        self.evidence.index()
    }

    /// The proof with that [`Self::index`].
    #[must_use]
    pub fn from_index(index: usize) -> Self {
        Self { evidence: Evidences::from_index(index), ambiguous: false }
    }

    /// The kinds of evidence.
    #[must_use]
    pub fn evidence(self) -> Evidences {
        self.evidence
    }

    /// Precision of such edges.
    #[must_use]
    pub fn confidence(self) -> f64 {
        let fits = |&&(evidence, ambiguous, _): &&(&[Evidence], bool, f64)| {
            ambiguous == self.ambiguous && evidence.iter().all(|&kind| self.evidence.has(kind))
        };
        TABLE.iter().find(fits).map_or(0.0, |&(_, _, confidence)| confidence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_evidence_has_a_row_and_ambiguity_costs() {
        for index in 1..COMBINATIONS {
            let proof = Proof::from_index(index);
            assert!(proof.confidence() > 0.0, "{:?}", proof.evidence());
            assert!(proof.ambiguous(true).confidence() < proof.confidence(), "{:?}", proof.evidence());
        }
    }

    #[test]
    fn rows_with_more_evidence_come_first() {
        assert_eq!(Proof::of(&[Evidence::Containment, Evidence::Thread]).confidence(), 0.99);
        assert_eq!(Proof::of(&[Evidence::Thread]).confidence(), 0.97);
        assert_eq!(Proof::of(&[Evidence::Fingerprint, Evidence::TcpPosition]).confidence(), 0.99);
    }
}
