//! Pauses.

use super::http::retry_after;
use super::*;

#[test]
fn pauses_grow_and_vary_and_obey() {
    let backoff = Backoff::default();
    for (attempt, plain) in [(0, 250), (1, 500), (3, 2000), (10, 10_000), (u32::MAX, 10_000)] {
        let plain = Duration::from_millis(plain);
        let pauses: Vec<_> = (0..100).map(|_| backoff.pause(attempt, None)).collect();
        assert!(pauses.iter().all(|pause| *pause >= plain / 2 && *pause <= plain * 3 / 2));
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }
    assert_eq!(backoff.pause(0, Some(Duration::from_secs(30))), Duration::from_secs(30));
}

#[test]
fn retry_after_in_seconds_or_as_a_date() {
    assert_eq!(retry_after("120"), Some(Duration::from_secs(120)));
    assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
    let later = std::time::SystemTime::now() + Duration::from_secs(3600);
    let pause = retry_after(&httpdate::fmt_http_date(later)).unwrap();
    assert!((3590..=3600).contains(&pause.as_secs()), "{pause:?}");
    assert_eq!(retry_after("soon"), None);
    assert_eq!(retry_after("-1"), None);
}
