//! The service behind the edge: the contract of the tests, written out by hand as a service that sees raw bytes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use prost::Message;
use tonic::{Code, Request, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt};

use crate::server::{Answers, one, stream};

#[derive(Clone, PartialEq, Message)]
pub struct Book {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub title: String,
    #[prost(string, tag = "3")]
    pub etag: String,
    #[prost(int64, tag = "4")]
    pub page_count: i64,
    #[prost(string, repeated, tag = "5")]
    pub tags: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Get {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    etag: String,
}

#[derive(Clone, PartialEq, Message)]
struct List {
    #[prost(string, tag = "1")]
    query: String,
    #[prost(int32, tag = "2")]
    page_size: i32,
    #[prost(string, tag = "3")]
    page_token: String,
    #[prost(string, repeated, tag = "4")]
    tags: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Books {
    #[prost(message, repeated, tag = "1")]
    books: Vec<Book>,
    #[prost(string, tag = "2")]
    next_page_token: String,
}

#[derive(Clone, PartialEq, Message)]
struct Change {
    #[prost(message, tag = "1")]
    book: Option<Book>,
    #[prost(message, tag = "2")]
    update_mask: Option<prost_types::FieldMask>,
}

#[derive(Clone, PartialEq, Message)]
struct HttpBody {
    #[prost(string, tag = "1")]
    content_type: String,
    #[prost(bytes = "bytes", tag = "2")]
    data: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct Piece {
    #[prost(string, tag = "1")]
    file_name: String,
    #[prost(message, tag = "2")]
    file: Option<HttpBody>,
    #[prost(string, tag = "3")]
    shelf: String,
    #[prost(string, tag = "4")]
    request_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Review {
    #[prost(message, tag = "1")]
    book: Option<Book>,
    #[prost(string, tag = "2")]
    request_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Scan {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    file_name: String,
    #[prost(string, tag = "3")]
    content_type: String,
    #[prost(int64, tag = "4")]
    size_bytes: i64,
    #[prost(int32, tag = "5")]
    messages: i32,
    #[prost(string, tag = "6")]
    shelf: String,
    #[prost(string, tag = "7")]
    request_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Fail {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    reason: String,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(map = "string, string", tag = "1")]
    values: HashMap<String, String>,
}

/// What the tests want to know of the service.
#[derive(Default)]
pub struct Seen {
    pub watchers: AtomicUsize,
    /// How many large changes were sent to those who asked for a flood of them.
    pub flooded: AtomicUsize,
    pub completed_uploads: AtomicUsize,
    pub cancelled_uploads: AtomicUsize,
    /// The paths of the last update mask.
    pub mask: Mutex<Option<Vec<String>>>,
    /// How often something was asked that the edge may keep.
    pub reads: AtomicUsize,
    /// Held by a test that wants such answers to wait.
    pub gate: tokio::sync::RwLock<()>,
}

pub async fn call(seen: Arc<Seen>, rpc: &str, request: Request<Streaming<Bytes>>) -> Result<Answers, Status> {
    let metadata = request.metadata().clone();
    let mut messages = request.into_inner();
    if rpc == "CreateScan" {
        return create_scan(&seen, messages).await;
    }
    let message = messages.message().await?.unwrap_or_default();
    match rpc {
        "GetBook" | "GetCard" | "GetOldBook" | "LendBook" | "CreateReport" | "GetReport" => get(&decode(&message)?),
        "GetNote" | "GetCatalog" | "GetNews" => {
            let token = metadata.get("authorization").and_then(|token| token.to_str().ok());
            keepable(&seen, &decode(&message)?, token.unwrap_or_default()).await
        }
        "CreateReview" => review(decode(&message)?),
        "ListBooks" => list(&decode(&message)?),
        "CreateBook" => create(decode(&message)?),
        "UpdateBook" => update(&seen, decode(&message)?),
        "DeleteBook" => delete(&decode(&message)?),
        "WatchBook" => Ok(watch(seen, &decode(&message)?)),
        "DownloadScan" => Ok(download(&decode(&message)?)),
        "GetScan" => Ok(one(&scan(&decode(&message)?))),
        "Fail" => Err(fail(&decode(&message)?)),
        "Sleep" => {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(one(&Book::default()))
        }
        "GetMetadata" => {
            let pairs = metadata.as_ref().iter();
            let text = pairs.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
            Ok(one(&Metadata { values: text.collect() }))
        }
        other => Err(Status::unimplemented(other)),
    }
}

fn decode<M: Message + Default>(message: &Bytes) -> Result<M, Status> {
    M::decode(message.clone()).map_err(|error| Status::invalid_argument(error.to_string()))
}

fn scan(request: &Get) -> HttpBody {
    let times = if request.id == "large" { 1000 } else { 1 };
    HttpBody {
        content_type: "image/png".to_owned(),
        data: b"\x89PNG".repeat(times).into(),
    }
}

fn book(id: &str) -> Book {
    let tags = vec!["a".to_owned()];
    Book {
        id: id.to_owned(),
        title: "Dune".to_owned(),
        etag: "v1".to_owned(),
        page_count: 412,
        tags,
    }
}

fn get(request: &Get) -> Result<Answers, Status> {
    if request.id == "unknown" {
        Err(Status::not_found("no such book"))
    } else {
        Ok(one(&book(&request.id)))
    }
}

/// Says by which token it was asked, and how many answers there were before it.
async fn keepable(seen: &Seen, request: &Get, token: &str) -> Result<Answers, Status> {
    let before = seen.reads.fetch_add(1, Ordering::SeqCst);
    drop(seen.gate.read().await);
    if request.id == "unknown" {
        return Err(Status::not_found("no such thing"));
    }
    Ok(one(&Book {
        title: token.to_owned(),
        page_count: before as i64,
        ..book(&request.id)
    }))
}

/// Fails as a service does that has seen the key, when the key says so.
fn review(request: Review) -> Result<Answers, Status> {
    if let Some(reason) = request.request_id.strip_prefix("fails:") {
        let details = ErrorDetails::with_error_info(reason, "library", []);
        return Err(Status::with_error_details(Code::Aborted, "not this time", details));
    }
    Ok(one(&Book {
        title: request.request_id,
        ..request.book.unwrap_or_default()
    }))
}

fn list(request: &List) -> Result<Answers, Status> {
    let title = format!("{} {} {}", request.query, request.page_size, request.tags.join("+"));
    let is_last = request.page_token == "last";
    let next_page_token = if is_last { String::new() } else { "a/b".to_owned() };
    Ok(one(&Books {
        books: vec![Book { title, ..book("1") }],
        next_page_token,
    }))
}

fn create(request: Change) -> Result<Answers, Status> {
    let given = request.book.unwrap_or_default();
    if given.title.is_empty() {
        let details = ErrorDetails::with_bad_request_violation("book.page_count", "must be positive");
        return Err(Status::with_error_details(Code::InvalidArgument, "not valid", details));
    }
    Ok(one(&Book {
        id: "id 1".to_owned(),
        ..given
    }))
}

fn update(seen: &Seen, request: Change) -> Result<Answers, Status> {
    let given = request.book.unwrap_or_default();
    *seen.mask.lock().unwrap() = request.update_mask.map(|mask| mask.paths);
    check_etag(&given.etag)?;
    Ok(one(&Book {
        etag: "v2".to_owned(),
        ..given
    }))
}

fn delete(request: &Get) -> Result<Answers, Status> {
    check_etag(&request.etag)?;
    Ok(one(&()))
}

fn check_etag(etag: &str) -> Result<(), Status> {
    if matches!(etag, "" | "v1") {
        return Ok(());
    }
    let details = ErrorDetails::with_error_info("ETAG_MISMATCH", "library", [("etag".to_owned(), "v1".to_owned())]);
    Err(Status::with_error_details(Code::Aborted, "has changed", details))
}

/// Large changes for as long as somebody takes them.
fn flood(seen: Arc<Seen>) -> Answers {
    let large = Book {
        title: "x".repeat(16 << 10),
        ..book("7")
    };
    let message = Bytes::from(large.encode_to_vec());
    stream(futures::stream::repeat_with(move || {
        seen.flooded.fetch_add(1, Ordering::SeqCst);
        Ok(message.clone())
    }))
}

/// Three changes, then what the id says: an end, an error, or nothing for ever.
fn watch(seen: Arc<Seen>, request: &Get) -> Answers {
    if request.id == "flood" {
        return flood(seen);
    }
    struct Watcher(Arc<Seen>);
    impl Drop for Watcher {
        fn drop(&mut self) {
            self.0.watchers.fetch_sub(1, Ordering::SeqCst);
        }
    }
    seen.watchers.fetch_add(1, Ordering::SeqCst);
    let watcher = Watcher(seen);
    let id = request.id.clone();
    if id == "unknown" {
        return stream(futures::stream::iter([Err(Status::not_found("no such book"))]));
    }
    let changes = (1..=3).map(|number| {
        Ok(Book {
            page_count: number,
            ..book("7")
        }
        .encode_to_vec()
        .into())
    });
    let last = async move {
        let _watcher = watcher;
        match id.as_str() {
            "fails" => Some(Err(Status::unavailable("gone"))),
            "forever" => std::future::pending().await,
            _ => None,
        }
    };
    stream(futures::stream::iter(changes).chain(futures::stream::once(last).filter_map(std::future::ready)))
}

/// Three pieces, then what the id says: an end, or an error.
fn download(request: &Get) -> Answers {
    let pieces = (0..3).map(|_| Ok(scan(&Get::default()).encode_to_vec().into()));
    let error = (request.id == "fails").then(|| Err(Status::data_loss("unreadable")));
    stream(futures::stream::iter(pieces.chain(error)))
}

/// Whether the file came whole; a call that its caller gives up is dropped where it stands.
struct Upload<'s> {
    seen: &'s Seen,
    is_complete: bool,
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        let counter = if self.is_complete {
            &self.seen.completed_uploads
        } else {
            &self.seen.cancelled_uploads
        };
        counter.fetch_add(1, Ordering::SeqCst);
    }
}

async fn create_scan(seen: &Seen, mut messages: Streaming<Bytes>) -> Result<Answers, Status> {
    let mut upload = Upload {
        seen,
        is_complete: false,
    };
    let mut scan = Scan {
        id: "s1".to_owned(),
        ..Scan::default()
    };
    while let Some(message) = messages.message().await? {
        let piece: Piece = decode(&message)?;
        let file = piece.file.unwrap_or_default();
        if scan.messages == 0 {
            (scan.file_name, scan.shelf, scan.content_type) = (piece.file_name, piece.shelf, file.content_type);
            scan.request_id = piece.request_id;
        }
        if scan.file_name == "refused" {
            let details = ErrorDetails::with_error_info("NO_MORE_SCANS", "library", []);
            let message = "no more scans today";
            return Err(Status::with_error_details(Code::FailedPrecondition, message, details));
        }
        scan.messages += 1;
        scan.size_bytes += file.data.len() as i64;
    }
    upload.is_complete = true;
    Ok(one(&scan))
}

fn fail(request: &Fail) -> Status {
    let mut details = ErrorDetails::new();
    if !request.reason.is_empty() {
        details.set_error_info(&request.reason, "library", [("shelf".to_owned(), "A".to_owned())]);
        details.set_retry_info(Some(Duration::from_millis(2500)));
        details.add_bad_request_violation("deep.field_name[2]", "breaks the rule");
    }
    Status::with_error_details(Code::from_i32(request.code), "failed as asked", details)
}
