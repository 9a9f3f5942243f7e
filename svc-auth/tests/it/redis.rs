//! Redis emptied and gone: slower, still right, nobody logged out.

use devstack::shared;
use tonic::Code;

use crate::app::{EMAIL, PASSWORD, TestApp, reason};

/// One test, because all tests of this process share one Redis: the others must not mind, and do not.
#[tokio::test]
async fn without_redis_nobody_is_logged_out_and_who_logs_out_is() {
    let app = TestApp::start().await;
    let stays = app.ada().await;
    let leaves = app.log_in(EMAIL, PASSWORD).await.unwrap();
    app.me(&stays.access_token).await.unwrap();
    let ended = (Code::Unauthenticated, "SESSION_ENDED".to_owned());

    let stack = shared().await;
    stack.flush_redis().unwrap();
    app.me(&stays.access_token).await.unwrap();

    stack.kill_redis().unwrap();
    app.me(&stays.access_token).await.unwrap();
    let stays = app.refresh(&stays.refresh_token).await.unwrap();
    app.log_in(EMAIL, PASSWORD).await.unwrap();
    app.log_out(&leaves.access_token).await.unwrap();
    assert_eq!(reason(app.me(&leaves.access_token).await), ended);

    stack.start_redis().unwrap();
    app.me(&stays.access_token).await.unwrap();
    assert_eq!(reason(app.me(&leaves.access_token).await), ended);
}
