//! What the contract asks of a session's scopes, and the turns of the keys on a real Postgres, with the clock as an argument.

use std::collections::HashSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use devstack::fresh_database;
use jsonwebtoken::{DecodingKey, Validation};
use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use time::macros::datetime;

use super::*;
use crate::{authentication::Authentication, domain::SessionState};

const START: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);
const PERIOD: Period = Period(Duration::days(30));

fn asked_for(policy: &Value) -> Vec<String> {
    let policy: &DynamicMessage = policy.as_message().unwrap();
    let scopes = policy.get_field_by_name("scopes").unwrap().into_owned();
    let scopes = scopes.as_list().unwrap().iter();
    scopes.map(|scope| scope.as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_admins_session_may_do_everything_that_the_contract_lets_users_do() {
    let pool = DescriptorPool::decode(bookmesh_proto::FILE_DESCRIPTOR_SET).unwrap();
    let policy = pool.get_extension_by_name("bookmesh.edge.v1.policy").unwrap();
    let granted: Vec<&str> = Role::Admin.scopes().split(' ').collect();
    let methods = pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>());

    let mut asked: Vec<String> = methods
        .flat_map(|method| asked_for(&method.options().get_extension(&policy)))
        .collect();

    asked.sort();
    asked.dedup();
    assert_eq!(granted, asked);
}

async fn pool() -> PgPool {
    let database = fresh_database("auth").await;
    crate::migrate(&database.owner_url).await.unwrap();
    PgPool::connect(&database.app_url).await.unwrap()
}

async fn replica(pool: &PgPool, now: OffsetDateTime) -> KeyRing {
    let master_key = MasterKey::parse(&BASE64_STANDARD.encode([1; 32])).unwrap();
    KeyRing::load(pool.clone(), Arc::new(master_key), PERIOD, now)
        .await
        .unwrap()
}

fn session(now: OffsetDateTime) -> Session {
    Session {
        id: Uuid::now_v7(),
        user_id: Uuid::now_v7(),
        user_agent: String::new(),
        name: String::new(),
        address: String::new(),
        created_at: now,
        authentication: Authentication::by_password(now),
        state: SessionState::new(now),
    }
}

async fn token(ring: &KeyRing, now: OffsetDateTime) -> String {
    let signed = ring.sign(&session(now), Role::User, Uuid::now_v7(), now).await;
    signed.unwrap().token
}

fn key_id(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

/// Whether the token's key is published by `ring` and has signed it. Its time is not looked at.
fn verifies(ring: &KeyRing, token: &str) -> bool {
    let jwks = ring.jwks();
    let Some(jwk) = jwks.keys.iter().find(|jwk| jwk.kid == key_id(token)) else {
        return false;
    };
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.validate_exp = false;
    rules.set_audience(&[ACCESS_AUDIENCE]);
    let key = DecodingKey::from_ed_components(&jwk.x).unwrap();
    jsonwebtoken::decode::<serde_json::Value>(token, &key, &rules).is_ok()
}

#[tokio::test]
async fn the_next_key_is_published_a_day_ahead_signs_when_it_is_its_turn_and_the_old_one_stays_for_an_hour() {
    let pool = pool().await;
    let ring = replica(&pool, START).await;
    let change = START + PERIOD.0;
    let published = async |now| {
        ring.turn(now).await.unwrap();
        (ring.jwks().keys.len(), key_id(&token(&ring, now).await))
    };

    let (count, first) = published(change - Duration::hours(25)).await;
    assert_eq!(count, 1);
    assert_eq!(published(change - Duration::hours(24)).await, (2, first.clone()));
    assert_eq!(published(change - Duration::SECOND).await, (2, first.clone()));
    let (count, second) = published(change).await;
    assert_eq!(count, 2);
    assert_ne!(second, first);
    assert_eq!(published(change + Duration::minutes(59)).await, (2, second.clone()));
    assert_eq!(published(change + Duration::minutes(61)).await, (1, second));
    assert!(PUBLISHED_AFTER >= ACCESS_TOKEN_LIFE * 2);
}

#[tokio::test]
async fn tokens_from_before_during_and_after_a_change_verify_at_every_replica() {
    let pool = pool().await;
    let (quick, slow) = (replica(&pool, START).await, replica(&pool, START).await);
    let change = START + PERIOD.0;
    let mut tokens = Vec::new();
    quick.turn(change - PERIOD.ahead()).await.unwrap();

    for minutes in [-10, -5, -1, 0, 1, 5, 10] {
        let now = change + Duration::minutes(minutes);
        quick.turn(now).await.unwrap();
        // The other has read the keys last an hour before the change, and has signed all the same.
        if minutes == -10 {
            slow.turn(change - Duration::hours(1)).await.unwrap();
        }
        tokens.extend([token(&quick, now).await, token(&slow, now).await]);

        for token in &tokens {
            assert!(verifies(&quick, token) && verifies(&slow, token), "{minutes}");
        }
    }
    let keys: HashSet<String> = tokens.iter().map(|token| key_id(token)).collect();
    assert_eq!(keys.len(), 2);
}

#[tokio::test]
async fn replicas_that_change_keys_at_once_agree_and_need_no_leader() {
    let pool = pool().await;
    let mut replicas = Vec::new();
    for _ in 0..6 {
        replicas.push(replica(&pool, START).await);
    }

    for number in 1..=3 {
        let due = START + PERIOD.0 * number - Duration::hours(12);
        // Their clocks differ.
        let turns = replicas
            .iter()
            .zip(0..)
            .map(|(ring, seconds)| ring.turn(due + Duration::seconds(seconds)));
        for turned in futures::future::join_all(turns).await {
            turned.unwrap();
        }
        let count: i64 = sqlx::query_scalar("SELECT max(generation) FROM signing_keys")
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(count, i64::from(number) + 1);
    }
    let now = START + PERIOD.0 * 3 + Duration::HOUR;
    let mut active = HashSet::new();
    for ring in &replicas {
        ring.turn(now).await.unwrap();
        active.insert(key_id(&token(ring, now).await));
    }
    assert_eq!(active.len(), 1);
}

#[tokio::test]
async fn a_replica_that_slept_through_changes_verifies_and_signs_with_the_key_of_the_day() {
    let pool = pool().await;
    let (awake, asleep) = (replica(&pool, START).await, replica(&pool, START).await);
    let asleep_too = replica(&pool, START).await;
    for day in 1..100 {
        awake.turn(START + Duration::days(day)).await.unwrap();
    }
    let now = START + Duration::days(100);
    let others = token(&awake, now).await;

    assert!(asleep.public_key(&key_id(&others), now).await.is_some());
    let own = token(&asleep_too, now).await;

    assert_eq!(key_id(&own), key_id(&others));
    assert!(verifies(&awake, &own));
}

#[tokio::test]
async fn after_a_long_stop_the_next_key_is_still_published_ahead() {
    let pool = pool().await;
    replica(&pool, START).await;
    let now = START + Duration::days(365);

    let ring = replica(&pool, now).await;

    let jwks = ring.jwks();
    assert_eq!(jwks.keys.len(), 2);
    assert_eq!(key_id(&token(&ring, now).await), jwks.keys[1].kid);
    assert_eq!(key_id(&token(&ring, now + Duration::days(1)).await), jwks.keys[0].kid);
}

#[tokio::test]
async fn a_thousand_unknown_key_ids_ask_postgres_once() {
    let pool = pool().await;
    let ring = replica(&pool, START).await;
    // The second key is there from then on; only whoever asks knows it.
    replica(&pool, START + PERIOD.0).await;
    let unknown = |range: std::ops::Range<u32>| range.map(|number| format!("unknown {number}")).collect::<Vec<_>>();

    let ids = unknown(0..1_000);
    let asked = futures::future::join_all(ids.iter().map(|id| ring.public_key(id, START))).await;
    assert!(asked.iter().all(Option::is_none));
    assert_eq!(ring.jwks().keys.len(), 2, "one has asked");

    sqlx::query("DELETE FROM signing_keys WHERE generation = 1")
        .execute(&pool)
        .await
        .unwrap();
    let ids = unknown(1_000..2_000);
    futures::future::join_all(ids.iter().map(|id| ring.public_key(id, START))).await;
    assert_eq!(ring.jwks().keys.len(), 2, "none of the next thousand has");
}
