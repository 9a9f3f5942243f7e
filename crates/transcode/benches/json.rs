//! Times JSON of a page of 20 bookmarks, and of one new bookmark, against prost-reflect.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use transcode::{Plans, WriteOptions};

const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(200);
const FULL: WriteOptions = WriteOptions { emit_defaults: true };

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let files = protox::compile(["bookmesh/bookmarks/v1/bookmarks.proto"], [folder])?;
    let pool = DescriptorPool::from_file_descriptor_set(files)?;
    let plans = Plans::compile(&pool);

    println!(
        "{:<28}{:>10}{:>12}{:>16}{:>8}",
        "", "bytes", "ours", "prost-reflect", "ratio"
    );
    let page = format!("{{\"bookmarks\":[{}]}}", [bookmark(); 20].join(","));
    compare(&plans, &find(&pool, "ListBookmarksResponse")?, "page of 20", &page)?;
    let body = format!("{{\"bookmark\":{}}}", bookmark());
    compare(&plans, &find(&pool, "CreateBookmarkRequest")?, "one bookmark", &body)?;
    Ok(())
}

fn find(pool: &DescriptorPool, name: &str) -> Result<MessageDescriptor, String> {
    let full_name = format!("bookmesh.bookmarks.v1.{name}");
    pool.get_message_by_name(&full_name)
        .ok_or_else(|| format!("no message {full_name}"))
}

fn compare(plans: &Plans, descriptor: &MessageDescriptor, what: &str, json: &str) -> Result<(), Box<dyn Error>> {
    let id = plans.message(descriptor.full_name()).ok_or("message has no plan")?;
    let message = parse(descriptor, json)?;
    let wire = message.encode_to_vec();
    let mut out = Vec::new();
    plans.write_json(id, &wire, FULL, &mut out)?;
    assert_eq!(out, print(descriptor, &wire)?, "both must print the same");

    let ours = median(|| {
        out.clear();
        plans.write_json(id, black_box(&wire), FULL, &mut out).is_ok()
    });
    let theirs = median(|| print(descriptor, black_box(&wire)).is_ok());
    report(&format!("{what}: wire to JSON"), wire.len(), ours, theirs);

    let ours = median(|| {
        out.clear();
        plans.read_json(id, black_box(json.as_bytes()), &mut out).is_ok()
    });
    let theirs = median(|| parse(descriptor, black_box(json)).is_ok_and(|message| !message.encode_to_vec().is_empty()));
    report(&format!("{what}: JSON to wire"), json.len(), ours, theirs);
    Ok(())
}

fn parse(descriptor: &MessageDescriptor, json: &str) -> serde_json::Result<DynamicMessage> {
    DynamicMessage::deserialize(descriptor.clone(), &mut serde_json::Deserializer::from_str(json))
}

fn print(descriptor: &MessageDescriptor, wire: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let message = DynamicMessage::decode(descriptor.clone(), wire)?;
    let mut serializer = serde_json::Serializer::new(Vec::new());
    message.serialize_with_options(&mut serializer, &SerializeOptions::new().skip_default_fields(false))?;
    Ok(serializer.into_inner())
}

/// Microseconds of one run, the median of several rounds.
fn median(mut run: impl FnMut() -> bool) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let mut count = 0_u32;
            while start.elapsed() < ROUND {
                for _ in 0..32 {
                    assert!(black_box(run()), "it has succeeded before");
                }
                count += 32;
            }
            start.elapsed().as_secs_f64() * 1e6 / f64::from(count)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn report(what: &str, bytes: usize, ours: f64, theirs: f64) {
    println!(
        "{what:<28}{bytes:>10}{ours:>9.2} us{theirs:>13.2} us{:>7.1}x",
        theirs / ours
    );
}

fn bookmark() -> &'static str {
    concat!(
        r#"{"id":"0190a6f2-5c1e-7b3a-9d4f-2f6c8e1a7b90","url":"https://doc.rust-lang.org/std/sync/atomic/index.html","#,
        r#""title":"std::sync::atomic — \"Rust\" documentation","#,
        r#""description":"Atomic types provide primitive shared-memory communication between threads, and are the "#,
        r#"building blocks of other concurrent types.","note":"Read again before the lock-free queue.\nSee also: loom.","#,
        r#""tags":["rust","concurrency","atomics"],"collections":[{"names":["Programming","Rust"]}],"toRead":true,"#,
        r#""createTime":"2026-11-23T17:00:00.123Z","updateTime":"2026-11-23T17:05:00.456789Z","#,
        r#""etag":"\"k3J9x\"","version":"1042"}"#,
    )
}
