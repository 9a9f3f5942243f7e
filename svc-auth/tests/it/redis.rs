//! Redis emptied and gone: slower, still right, nobody logged out.

use devstack::{Devstack, Ports};
use tonic::Code;

use crate::app::{EMAIL, PASSWORD, TestApp, reason};

/// A Redis of the test's own: others of this process count in the shared one.
pub(crate) async fn own_redis() -> Devstack {
    Devstack::start_temporary(Ports::default()).await.unwrap()
}

#[tokio::test]
async fn without_redis_nobody_is_logged_out_and_who_logs_out_is() {
    let stack = own_redis().await;
    let app = TestApp::start_with(&[("BOOKMESH_REDIS_URL", &stack.redis_url())]).await;
    let stays = app.ada().await;
    let leaves = app.log_in(EMAIL, PASSWORD).await.unwrap();
    app.me(&stays.access_token).await.unwrap();
    let ended = (Code::Unauthenticated, "SESSION_ENDED".to_owned());

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
