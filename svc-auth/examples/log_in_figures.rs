//! Two figures of log-ins, measured on servers of its own: how much longer a known address takes than an unknown one, and what
//! becomes of a known device, and of memory, while 500 strangers a second try. To be run with `--release`:
//!
//! `cargo run --release -p svc-auth --example log_in_figures -- [samples of each] [seconds of flood]`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what cannot be measured ends the program"
)]

use std::{
    env, fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bookmesh_proto::auth::v1::{
    CreateSessionRequest, CreateUserRequest, SessionTokens, auth_service_client::AuthServiceClient,
};
use devstack::{TestDatabase, fresh_database, keys, shared};
use service::{client::channel, config::Environment};
use svc_auth::Config;
use tokio::{net::TcpListener, task::JoinSet, time::interval};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status, transport::Channel};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PASSWORD: &str = "correct horse battery";
const WRONG: &str = "wrong horse battery";
/// So many wrong passwords at an account are free.
const FREE: usize = 5;
const OFFERED_PER_SECOND: u64 = 500;

#[tokio::main]
async fn main() {
    let mut numbers = env::args().skip(1).map(|argument| argument.parse().unwrap());
    let (samples, seconds) = (numbers.next().unwrap_or(2_000), numbers.next().unwrap_or(60));
    let keys = tempfile::TempDir::new().unwrap();
    keys::generate(keys.path(), &["svc-auth"]).unwrap();
    let database = fresh_database("auth").await;
    svc_auth::migrate(&database.owner_url).await.unwrap();
    let auth = start(&database, keys.path()).await;

    measure_difference(&auth, samples).await;
    measure_flood(&auth, u64::try_from(seconds).unwrap()).await;
}

async fn start(database: &TestDatabase, keys: &std::path::Path) -> AuthServiceClient<Channel> {
    let mut environment = Environment::from_pairs([
        ("AUTH_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
        ("AUTH_DATABASE_URL", database.app_url.clone()),
        ("AUTH_MASTER_KEY", keys::master_key(keys).display().to_string()),
        ("BOOKMESH_REDIS_URL", shared().await.redis_url()),
        ("BOOKMESH_SERVICE_KEYS", keys::public_keys(keys).display().to_string()),
    ]);
    let config = Config::from_environment(&mut environment);
    let config = environment.finish(config).unwrap();
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(svc_auth::run(config, listener, CancellationToken::new()));
    AuthServiceClient::new(channel(&address).unwrap())
}

async fn register(auth: &AuthServiceClient<Channel>, email: String) {
    let request = CreateUserRequest {
        email,
        password: PASSWORD.to_owned(),
        display_name: String::new(),
    };
    auth.clone().create_user(request).await.unwrap();
}

/// From a network of its own for each `number`.
async fn log_in(
    auth: &AuthServiceClient<Channel>,
    number: usize,
    email: &str,
    password: &str,
    device_token: &str,
) -> Result<SessionTokens, Status> {
    let mut request = Request::new(CreateSessionRequest {
        email: email.to_owned(),
        password: password.to_owned(),
        device_token: device_token.to_owned(),
    });
    let address = format!("{}.{}.{}.1", 10 + number / 65_536, number / 256 % 256, number % 256);
    request
        .metadata_mut()
        .insert("x-client-address", address.parse().unwrap());
    Ok(auth.clone().create_session(request).await?.into_inner())
}

async fn measure_difference(auth: &AuthServiceClient<Channel>, samples: usize) {
    for number in 0..samples.div_ceil(FREE) {
        register(auth, format!("known{number}@example.com")).await;
    }
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for number in 0..samples {
        let mut pair = [("known", &mut known), ("other", &mut unknown)];
        if number % 2 == 1 {
            pair.reverse();
        }
        for (whose, times) in pair {
            let started = Instant::now();
            let answer = log_in(
                auth,
                number,
                &format!("{whose}{}@example.com", number / FREE),
                WRONG,
                "",
            )
            .await;
            times.push(started.elapsed());
            assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated);
        }
    }
    let [known, unknown] = [known, unknown].map(|mut times| {
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1_000.0
    });
    println!(
        "wrong password, {samples} samples each, medians: known {known:.3} ms, unknown {unknown:.3} ms, difference {:.3} ms",
        known - unknown
    );
}

async fn measure_flood(auth: &AuthServiceClient<Channel>, seconds: u64) {
    register(auth, "owner@example.com".to_owned()).await;
    let mut device_token = log_in(auth, 0, "owner@example.com", PASSWORD, "")
        .await
        .unwrap()
        .device_token;
    let mut ticks = interval(Duration::from_millis(10));
    let (mut strangers, mut owner) = (JoinSet::new(), Vec::new());
    let started = Instant::now();
    let per_tick = usize::try_from(OFFERED_PER_SECOND / 100).unwrap();
    for tick in 0..usize::try_from(seconds * 100).unwrap() {
        ticks.tick().await;
        for number in 0..per_tick {
            let (auth, number) = (auth.clone(), tick * per_tick + number);
            strangers.spawn(async move {
                let started = Instant::now();
                let answer = log_in(&auth, number, &format!("stranger{number}@example.com"), WRONG, "").await;
                (answer.unwrap_err().code(), started.elapsed())
            });
        }
        if tick % 100 == 50 {
            let before = Instant::now();
            let tokens = log_in(auth, 0, "owner@example.com", PASSWORD, &device_token).await;
            owner.push(before.elapsed());
            match tokens {
                Ok(tokens) => device_token = tokens.device_token,
                Err(status) => println!("  the known device was refused: {}", status.message()),
            }
        }
    }
    let took = started.elapsed();
    tell(&strangers.join_all().await, owner, took);
}

fn tell(strangers: &[(Code, Duration)], mut owner: Vec<Duration>, took: Duration) {
    let of = |code| strangers.iter().filter(|(of, _)| *of == code).count();
    let mut busy: Vec<Duration> = strangers
        .iter()
        .filter(|(code, _)| *code == Code::Unavailable)
        .map(|(_, time)| *time)
        .collect();
    busy.sort();
    owner.sort();
    println!(
        "flood: {:.0} offered/s for {took:.0?}",
        strangers.len() as f64 / took.as_secs_f64()
    );
    println!(
        "  strangers: {} compared, {} told to come again",
        of(Code::Unauthenticated),
        of(Code::Unavailable)
    );
    println!(
        "  the latter: median {:?}, slowest {:?}",
        busy.get(busy.len() / 2),
        busy.last()
    );
    println!(
        "  the known device, {} log-ins: median {:?}, slowest {:?}",
        owner.len(),
        owner[owner.len() / 2],
        owner.last()
    );
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or("VmHWM: not known here");
    println!("  of this process, clients included, {peak}");
}
