//! More log-ins than the cores can hash.

use std::time::{Duration, Instant};

use tonic::Code;
use tonic_types::StatusExt;

use crate::app::{EMAIL, TestApp, reason};

#[tokio::test]
async fn a_flood_of_log_ins_is_turned_away_in_time_and_the_rest_is_served() {
    let app = TestApp::start_with(&[("AUTH_HASHING_CORES", "1")]).await;
    let started = Instant::now();

    let flood = (0..300).map(|_| app.log_in(EMAIL, "whatever it may be"));
    let answers = futures::future::join_all(flood).await;

    let (busy, served): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .map(|answer| answer.unwrap_err())
        .partition(|status| status.code() == Code::Unavailable);
    assert!(!served.is_empty(), "somebody is served");
    assert!(busy.len() >= 300 - 65 - 40, "most are turned away, not {}", busy.len());
    for status in busy {
        let retry = status.get_details_retry_info().unwrap();
        assert_eq!(retry.retry_delay, Some(Duration::from_secs(1)));
        assert_eq!(reason::<()>(Err(status)), (Code::Unavailable, "AUTH_BUSY".to_owned()));
    }
    for status in served {
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}
