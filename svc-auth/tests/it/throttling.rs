//! Guessing passwords, and what it does not do to the one who knows it. Rows 6.1.1 and 6.3.1 of the checklist.

use std::time::Duration;

use bookmesh_proto::auth::v1::{ChangePasswordRequest, SessionTokens};
use futures::{StreamExt, stream};
use sqlx::Row;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    app::{EMAIL, PASSWORD, TestApp, reason, with_token},
    redis::own_redis,
    resets::forget_from,
};

const WRONG: &str = "wrong horse battery";

fn is_refused_unseen(answer: &Result<SessionTokens, Status>) -> bool {
    let Err(status) = answer else { return false };
    let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let is_throttled = reason::<()>(Err(status.clone())) == too_many();
    assert!(
        !is_throttled || retry.is_some_and(|delay| delay >= Duration::from_secs(1)),
        "{status:?}"
    );
    is_throttled
}

fn too_many() -> (Code, String) {
    (Code::ResourceExhausted, "TOO_MANY_ATTEMPTS".to_owned())
}

fn wrong() -> (Code, String) {
    (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned())
}

/// Wrong passwords from so many networks, forty at a time; answers how many were looked at.
async fn attack(app: &TestApp, email: &str, networks: usize, guesses: usize) -> usize {
    let answers = stream::iter(0..guesses).map(|number| async move {
        let network = number % networks;
        let address = format!("10.{}.{}.9", network / 256, network % 256);
        app.log_in_from(&address, email, WRONG, "").await
    });
    let answers: Vec<_> = answers.buffer_unordered(40).collect().await;
    assert!(answers.iter().all(Result::is_err));
    answers.iter().filter(|answer| !is_refused_unseen(answer)).count()
}

async fn audited(app: &TestApp, outcome: &str) -> i64 {
    let count = "SELECT count(*) FROM audit_events WHERE action = 'LOG_IN' AND outcome = $1";
    let count = sqlx::query(count).bind(outcome).fetch_one(&mut app.admin().await).await;
    count.unwrap().get(0)
}

/// The ladder allows five, and a few more while the attack goes on.
const MOST_LOOKED_AT: usize = 5 + 5;

#[tokio::test]
async fn checklist_6_1_1_and_6_3_1_guesses_from_200_networks_are_refused_and_the_owner_gets_in_on_a_known_device() {
    let app = TestApp::start().await;
    let device_token = app.ada().await.device_token;

    let (looked_at, during) = futures::join!(attack(&app, EMAIL, 200, 3_000), async {
        app.log_in_from("10.0.0.9", EMAIL, PASSWORD, &device_token).await
    });

    assert!((2..=MOST_LOOKED_AT).contains(&looked_at), "{looked_at}");
    let again = during.unwrap().device_token;
    let owner = app.log_in_from("192.0.2.1", EMAIL, PASSWORD, &again).await;
    owner.unwrap();
    // Five would be free if the owner's success had freed anybody else.
    let looked_at_later = attack(&app, EMAIL, 5, 5).await;
    assert!(looked_at_later < 5, "{looked_at_later}");
    let looked_at = looked_at + looked_at_later;
    // Every password that is hashed is noted, and of the refusals the first of each wait.
    assert_eq!(audited(&app, "REFUSED").await, i64::try_from(looked_at).unwrap());
    let throttled = audited(&app, "THROTTLED").await;
    assert!(
        (1..=i64::try_from(MOST_LOOKED_AT).unwrap()).contains(&throttled),
        "{throttled}"
    );
}

#[tokio::test]
async fn an_unknown_account_runs_the_same_ladder_and_gets_the_same_bytes() {
    let app = TestApp::start().await;
    app.register(EMAIL, PASSWORD).await.unwrap();
    let mut answers = Vec::new();

    for email in [EMAIL, "nobody@example.com", "no address"] {
        let mut of_email = Vec::new();
        for number in 0..7 {
            let answer = app.log_in_from(&format!("10.0.{number}.1"), email, WRONG, "").await;
            let status = answer.unwrap_err();
            of_email.push((status.code(), status.message().to_owned(), status.details().to_vec()));
        }
        answers.push(of_email);
    }

    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    assert_eq!(answers[0][4].0, Code::Unauthenticated);
    assert_eq!(answers[0][5].0, Code::ResourceExhausted);
}

#[tokio::test]
async fn a_right_password_after_four_wrong_ones_clears_the_count() {
    let app = TestApp::start().await;
    app.register(EMAIL, PASSWORD).await.unwrap();

    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(reason(app.log_in(EMAIL, WRONG).await), wrong());
        }
        app.log_in(EMAIL, PASSWORD).await.unwrap();
    }
}

#[tokio::test]
async fn guessing_at_many_accounts_from_one_network_ends_too_and_not_for_a_known_device() {
    let app = TestApp::start().await;
    let device_token = app.ada().await.device_token;

    let spray = stream::iter(0..160).map(|number| {
        let (app, email) = (&app, format!("user{number}@example.com"));
        async move {
            app.log_in_from(&format!("203.0.113.{number}"), &email, PASSWORD, "")
                .await
        }
    });
    let answers: Vec<_> = spray.buffer_unordered(4).collect().await;

    let refused = answers.iter().filter(|answer| is_refused_unseen(answer)).count();
    assert!((1..=60).contains(&refused), "{refused}");
    let neighbour = app.log_in_from("203.0.113.250", EMAIL, PASSWORD, "").await;
    assert!(is_refused_unseen(&neighbour), "{neighbour:?}");
    app.log_in_from("203.0.113.250", EMAIL, PASSWORD, &device_token)
        .await
        .unwrap();
    app.log_in_from("203.0.114.1", EMAIL, PASSWORD, "").await.unwrap();
    assert_eq!(audited(&app, "THROTTLED").await, 1);
}

#[tokio::test]
async fn a_known_device_has_a_budget_and_no_more_and_another_accounts_device_is_unknown() {
    let app = TestApp::start().await;
    let ada = app.ada().await.device_token;
    app.register("bob@example.com", PASSWORD).await.unwrap();
    let bob = app.log_in("bob@example.com", PASSWORD).await.unwrap().device_token;

    for _ in 0..5 {
        assert_eq!(reason(app.log_in_from("", EMAIL, WRONG, &ada).await), wrong());
    }

    assert_eq!(reason(app.log_in_from("", EMAIL, PASSWORD, &ada).await), too_many());
    app.log_in_from("", EMAIL, PASSWORD, "").await.unwrap();
    attack(&app, EMAIL, 50, 50).await;
    let mut forged = ada.clone();
    forged.replace_range(40..41, if &ada[40..41] == "A" { "B" } else { "A" });
    for foreign in [bob, forged, "nonsense".to_owned()] {
        assert_eq!(reason(app.log_in_from("", EMAIL, PASSWORD, &foreign).await), too_many());
    }
}

#[tokio::test]
async fn a_device_is_known_until_the_password_is_changed() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;
    let new = "parsnip gravel oboe lantern";
    let request = ChangePasswordRequest {
        current_password: PASSWORD.to_owned(),
        new_password: new.to_owned(),
    };
    let change = with_token(request, &tokens.access_token);
    app.auth.clone().change_password(change).await.unwrap();
    let since = app.log_in(EMAIL, new).await.unwrap().device_token;

    attack(&app, EMAIL, 50, 50).await;

    assert_eq!(
        reason(app.log_in_from("", EMAIL, new, &tokens.device_token).await),
        too_many()
    );
    app.log_in_from("", EMAIL, new, &since).await.unwrap();
}

#[tokio::test]
async fn a_network_asks_for_so_many_resets_and_what_is_refused_is_not_noted() {
    let app = TestApp::start().await;
    app.register(EMAIL, PASSWORD).await.unwrap();

    let asking = stream::iter(0..160).map(|number| {
        let (app, email) = (&app, format!("user{number}@example.com"));
        async move { forget_from(app, &format!("203.0.113.{number}"), &email).await }
    });
    let answers: Vec<_> = asking.buffer_unordered(4).collect().await;

    let passed = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!((100..160).contains(&passed), "{passed}");
    let noted = "SELECT count(*) FROM audit_events WHERE action = 'PASSWORD_RESET_REQUESTED'";
    let noted: i64 = sqlx::query_scalar(noted)
        .fetch_one(&mut app.admin().await)
        .await
        .unwrap();
    assert_eq!(noted, i64::try_from(passed).unwrap());
    assert_eq!(audited(&app, "THROTTLED").await, 0);
    let known = forget_from(&app, "203.0.113.250", EMAIL).await.unwrap_err();
    let unknown = forget_from(&app, "203.0.113.250", "nobody@example.com")
        .await
        .unwrap_err();
    assert_eq!((known.message(), known.code()), (unknown.message(), unknown.code()));
    assert_eq!(reason::<()>(Err(known)), too_many());
    forget_from(&app, "203.0.114.1", EMAIL).await.unwrap();
}

#[tokio::test]
async fn a_device_token_opens_nothing() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;

    let as_access = app.me(&tokens.device_token).await;
    let as_refresh = app.refresh(&tokens.device_token).await;
    let refreshed = app.refresh(&tokens.refresh_token).await.unwrap();

    assert_eq!(reason(as_access), (Code::Unauthenticated, "TOKEN_INVALID".to_owned()));
    assert_eq!(
        reason(as_refresh),
        (Code::Unauthenticated, "INVALID_REFRESH_TOKEN".to_owned())
    );
    assert_eq!(refreshed.device_token, "");
}

#[tokio::test]
async fn guessing_the_current_password_with_a_found_access_token_ends_and_the_owner_can_still_change_it() {
    let app = TestApp::start().await;
    let found = app.ada().await;
    let own = app.log_in(EMAIL, PASSWORD).await.unwrap();
    let change = async |tokens: &SessionTokens, current: &str| {
        let request = ChangePasswordRequest {
            current_password: current.to_owned(),
            new_password: "parsnip gravel oboe lantern".to_owned(),
        };
        app.auth
            .clone()
            .change_password(with_token(request, &tokens.access_token))
            .await
    };

    for _ in 0..5 {
        let refused = change(&found, WRONG).await;
        assert_eq!(reason(refused), (Code::InvalidArgument, "WRONG_PASSWORD".to_owned()));
    }

    assert_eq!(reason(change(&found, PASSWORD).await), too_many());
    change(&own, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn replicas_count_together() {
    let database = devstack::fresh_database("auth").await;
    svc_auth::migrate(&database.owner_url).await.unwrap();
    let keys = std::sync::Arc::new(crate::app::new_keys());
    let one = TestApp::start_on(database.clone(), keys.clone(), &[]).await;
    let other = TestApp::start_on(database, keys, &[]).await;

    for app in [&one, &other, &one, &other, &one] {
        assert_eq!(reason(app.log_in(EMAIL, WRONG).await), wrong());
    }

    assert_eq!(reason(other.log_in(EMAIL, WRONG).await), too_many());
}

#[tokio::test]
async fn without_redis_less_is_free_and_an_emptied_one_ends_no_wait_that_has_begun() {
    let stack = own_redis().await;
    let variables = [
        ("BOOKMESH_REDIS_URL", stack.redis_url()),
        ("AUTH_REDIS_TIMEOUT_MS", "50".to_owned()),
    ];
    let app = TestApp::start_with(&variables.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
    let device_token = app.ada().await.device_token;
    attack(&app, EMAIL, 20, 40).await;

    stack.flush_redis().unwrap();
    assert!(attack(&app, EMAIL, 20, 40).await <= 1);

    stack.kill_redis().unwrap();
    assert!(attack(&app, EMAIL, 20, 40).await <= 1);
    let others = attack(&app, "bob@example.com", 20, 200).await;
    assert!((1..=4).contains(&others), "{others}");
    app.log_in_from("", EMAIL, PASSWORD, &device_token).await.unwrap();

    stack.start_redis().unwrap();
    // It is asked again a second after it failed.
    let back = async {
        while attack(&app, &format!("{}@example.com", uuid::Uuid::new_v4()), 1, 5).await < 5 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), back).await.unwrap();
}
