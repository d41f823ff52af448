//! Quantiles of a few thousand numbers.

/// The value that a share `q` (0 to 1) of the values does not exceed; `values` must be sorted. `None` if there are none.
pub fn quantile<T: Copy>(values: &[T], q: f64) -> Option<T> {
    let last = values.len().checked_sub(1)?;
    // Nearest rank, so that the result is one of the values. Exact far beyond any number of values that fits in memory.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between 0 and the number of values"
    )]
    let rank = (q * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1).min(last)).copied()
}

/// The middle one of the values, which need not be sorted; `None` if there are none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let values: Vec<u32> = (1..=100).collect();
        for (q, expected) in [(0.0, 1), (0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100)] {
            assert_eq!(quantile(&values, q), Some(expected), "{q}");
        }
        assert_eq!(quantile(&[7], 0.99), Some(7));
        assert_eq!(quantile::<u32>(&[], 0.5), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    }
}
