//! SIGTERM to each process while it is busy: it ends well, soon, and not before it has answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use devstack::platform::{PROGRAMS, Platform};
use serde_json::{Value, json};
use system_tests::{Client, Export, ExportShape, GENEROUS_SETTINGS, start_platform_with};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_stream::wrappers::ReceiverStream;

const STOPPED_WITHIN: Duration = Duration::from_secs(10);
const CALLERS: usize = 4;
// As long as it takes until all that was begun is with the process that is to stop.
const UNDER_WAY: Duration = Duration::from_millis(300);
const SHAPE: ExportShape = ExportShape {
    bookmarks: 100,
    folders: 2,
};

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_every_process_well_after_it_has_answered() -> Result<()> {
    let platform = start_platform_with(&[("EDGE_SETTINGS", GENEROUS_SETTINGS)]).await?;
    let client = Client::register(&platform.edge_url(), "busy@example.com").await?;
    let mut saved = Vec::new();
    for program in PROGRAMS {
        let traffic = Traffic::begin(&client, program.name);
        let upload = begin_upload(&client, program.name);
        sleep(UNDER_WAY).await;

        let signalled = stop(&platform, program.name)?;
        platform.restart(program.name)?;

        let (requests, import) = (traffic.end().await?, upload.await??);
        assert_eq!(import["state"], "QUEUED", "{}: {import}", program.name);
        for request in requests {
            let in_flight = request.begun < signalled && request.ended > signalled;
            let answered = request.status == Some(201);
            assert!(answered || !in_flight, "{}: {request:?}", program.name);
            saved.extend(answered.then_some(request.url));
        }
    }
    let listed = client.bookmarks("").await?;
    let lost = saved.iter().filter(|url| !listed.contains_key(*url)).count();
    assert_eq!(lost, 0, "of {} answered", saved.len());
    platform.stop().await;
    Ok(())
}

/// Answers the moment just before the signal.
fn stop(platform: &Platform, name: &str) -> Result<Instant> {
    let signalled = Instant::now();
    let ending = platform.stop_process(name)?;
    assert!(ending.success(), "{name}: {ending}");
    let elapsed = signalled.elapsed();
    assert!(elapsed < STOPPED_WITHIN, "{name} took {elapsed:?}");
    Ok(signalled)
}

/// An upload whose second half is sent when the process has been told to stop.
fn begin_upload(client: &Client, name: &str) -> JoinHandle<Result<Value>> {
    let (client, html) = (client.clone(), Export::generate(name, SHAPE).html);
    tokio::spawn(async move {
        let (sender, receiver) = mpsc::channel(1);
        let upload = tokio::spawn(async move {
            let body = reqwest::Body::wrap_stream(ReceiverStream::new(receiver));
            client.upload(body).await
        });
        let (head, tail) = html.split_at(html.len() / 2);
        sender.send(Ok::<_, std::io::Error>(head.to_owned())).await?;
        sleep(2 * UNDER_WAY).await;
        sender.send(Ok(tail.to_owned())).await?;
        drop(sender);
        upload.await?
    })
}

/// Callers that save one bookmark after the other.
struct Traffic {
    stop: Arc<AtomicBool>,
    callers: Vec<JoinHandle<Vec<Request>>>,
}

#[derive(Debug)]
struct Request {
    url: String,
    begun: Instant,
    ended: Instant,
    /// None when there was no answer.
    status: Option<u16>,
}

impl Traffic {
    fn begin(client: &Client, name: &str) -> Traffic {
        let stop = Arc::new(AtomicBool::new(false));
        let callers = (0..CALLERS)
            .map(|caller| {
                tokio::spawn(save_until(
                    Arc::clone(&stop),
                    client.clone(),
                    format!("{name}/{caller}"),
                ))
            })
            .collect();
        Traffic { stop, callers }
    }

    async fn end(self) -> Result<Vec<Request>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut requests = Vec::new();
        for caller in self.callers {
            requests.extend(caller.await?);
        }
        Ok(requests)
    }
}

async fn save_until(stop: Arc<AtomicBool>, client: Client, path: String) -> Vec<Request> {
    let mut requests = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let url = format!("https://example.com/{path}/{}", requests.len());
        let bookmark = json!({"url": url, "title": "Saved under way"});
        let begun = Instant::now();
        let answer = client.post("/v1/bookmarks", &bookmark).await;
        requests.push(Request {
            url,
            begun,
            ended: Instant::now(),
            status: answer.ok().map(|answer| answer.status),
        });
        sleep(Duration::from_millis(1)).await;
    }
    requests
}
