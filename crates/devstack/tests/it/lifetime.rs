//! Servers and their folder are gone when the process that owns them is, however it went.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use devstack::{Devstack, Ports, create_schema, shared};
use sqlx::{Connection, PgConnection};

/// Set in the process that `a_process_that_owns_a_stack` becomes the body of.
const ROLE: &str = "DEVSTACK_TEST_OWNER";

#[tokio::test]
async fn a_stopped_stack_leaves_nothing() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let pids = stack.pids();
    let folder = stack.folder().to_owned();

    stack.stop().await;

    assert!(pids.iter().all(|pid| !runs(*pid)));
    assert!(!folder.exists());
}

#[tokio::test]
async fn data_is_kept_between_starts_in_the_same_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let first = Devstack::start(folder.path(), Ports::default()).await.unwrap();
    let admin_url = first.postgres_url("postgres");
    create_schema(&admin_url, "bookmarks").await.unwrap();
    first.stop().await;

    let second = Devstack::start(folder.path(), Ports::default()).await.unwrap();

    let owner_url = second.postgres_url("bookmarks_owner");
    let mut connection = PgConnection::connect(&owner_url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE in_the_kept_schema (id int)")
        .execute(&mut connection)
        .await
        .unwrap();
    second.stop().await;
}

#[tokio::test]
async fn a_named_port_that_is_in_use_is_reported() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();

    let error = Devstack::start(
        folder.path(),
        Ports {
            redis: Some(port),
            ..Ports::default()
        },
    )
    .await
    .unwrap_err();

    assert_eq!(error.to_string(), format!("port {port} for redis is in use"));
}

#[test]
fn servers_die_with_a_process_that_is_killed() {
    let (mut owner, pids, folder) = start_owner();

    owner.kill().unwrap();
    owner.wait().unwrap();

    wait_until(|| pids.iter().all(|pid| !runs(*pid)));
    wait_until(|| !Path::new(&folder).exists());
}

#[test]
fn servers_die_with_a_process_that_ends_by_itself() {
    let (mut owner, pids, folder) = start_owner();

    drop(owner.stdin.take());
    owner.wait().unwrap();

    wait_until(|| pids.iter().all(|pid| !runs(*pid)));
    wait_until(|| !Path::new(&folder).exists());
}

/// Not a test of its own: what the two above start as a process. It waits until its input ends.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the variable is how a test talks to its other process"
)]
async fn a_process_that_owns_a_stack() {
    if env::var_os(ROLE).is_none() {
        return;
    }
    let stack = shared().await;
    let [postgres, redis, nats] = stack.pids();
    println!("\nowner {postgres} {redis} {nats} {}", stack.folder().display());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn start_owner() -> (Child, Vec<u32>, String) {
    let mut owner = Command::new(env::current_exe().unwrap())
        .args(["lifetime::a_process_that_owns_a_stack", "--exact", "--nocapture"])
        .env(ROLE, "yes")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let line = lines
        .map(Result::unwrap)
        .find(|line| line.starts_with("owner "))
        .unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    let pids = words[1..4].iter().map(|word| word.parse().unwrap()).collect();
    (owner, pids, words[4].to_owned())
}

fn runs(pid: u32) -> bool {
    let status = Command::new("sh")
        .args(["-c", "kill -0 \"$1\" 2>/dev/null", "kill", &pid.to_string()])
        .status()
        .unwrap();
    status.success()
}

#[expect(clippy::disallowed_methods, reason = "there is no runtime here to block")]
fn wait_until(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(20), "still not so after 20 s");
        thread::sleep(Duration::from_millis(50));
    }
}
