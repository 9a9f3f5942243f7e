//! The file as batches of rows. The same file always makes the same batches: a batch that is sent again is the same batch.

use bytes::Bytes;
use futures::StreamExt;
use tokio::{sync::mpsc, task::spawn_blocking};

use crate::{
    failure::Failure,
    netscape::{Parser, Row},
    objects::FileStream,
};

const ROWS_LIMIT: usize = 500;

/// A batch ends with the row that reaches this: well below the 4 MiB that a gRPC message may have.
const BYTES_LIMIT: usize = 1024 * 1024;

const CHUNKS_AHEAD: usize = 8;
const BATCHES_AHEAD: usize = 2;

/// Rows that are saved together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// The place of the first row in the file, counted from 0.
    pub(super) first: i32,
    pub(super) rows: Vec<Row>,
}

/// Why a file could not be read to its end.
#[derive(Debug)]
pub(super) enum ReadError {
    /// It is the file: reading it again will not help.
    Failure(Failure),
    /// It is something else: reading it again may help.
    Trouble(anyhow::Error),
}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<anyhow::Error> for ReadError {
    fn from(error: anyhow::Error) -> Self {
        Self::Trouble(error)
    }
}

/// Reads the whole file and counts its rows.
pub(super) async fn count(file: FileStream, max_rows: usize) -> Result<usize, ReadError> {
    let chunks = chunks(file);
    let counting = spawn_blocking(move || {
        let mut count = 0;
        parse(chunks, max_rows, |rows| {
            count += rows.drain(..).len();
            true
        })?;
        Ok(count)
    });
    counting.await.map_err(anyhow::Error::from)?
}

/// The rows from `skip` on. An error is the last item.
pub(super) fn batches(file: FileStream, max_rows: usize, skip: i32) -> mpsc::Receiver<Result<Batch, ReadError>> {
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    let chunks = chunks(file);
    spawn_blocking(move || {
        let mut batcher = Batcher::new(skip);
        // Nobody listens any more when sending fails: the import was stopped.
        let parsed = parse(chunks, max_rows, |rows| {
            rows.drain(..)
                .filter_map(|row| batcher.push(row))
                .all(|batch| sender.blocking_send(Ok(batch)).is_ok())
        });
        let last = match parsed {
            Ok(()) => batcher.rest().map(Ok),
            Err(error) => Some(Err(error)),
        };
        if let Some(last) = last {
            let _ = sender.blocking_send(last);
        }
    });
    receiver
}

/// Carries the file from the runtime to a thread that may block; ends when the thread does.
fn chunks(mut file: FileStream) -> mpsc::Receiver<anyhow::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    tokio::spawn(async move {
        while let Some(chunk) = file.next().await {
            if sender.send(chunk).await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// Hands over the rows as they become whole, until `take` wants no more.
fn parse(
    mut chunks: mpsc::Receiver<anyhow::Result<Bytes>>,
    max_rows: usize,
    mut take: impl FnMut(&mut Vec<Row>) -> bool,
) -> Result<(), ReadError> {
    let mut parser = Parser::new(max_rows);
    let mut rows = Vec::new();
    while let Some(chunk) = chunks.blocking_recv() {
        parser.push(&chunk?, &mut rows)?;
        if !take(&mut rows) {
            return Ok(());
        }
    }
    parser.finish(&mut rows)?;
    take(&mut rows);
    Ok(())
}

struct Batcher {
    skip: i32,
    batch: Batch,
    bytes: usize,
}

impl Batcher {
    fn new(skip: i32) -> Self {
        Self {
            skip,
            batch: Batch {
                first: skip,
                rows: Vec::new(),
            },
            bytes: 0,
        }
    }

    /// The batch that this row completes, if it does.
    fn push(&mut self, row: Row) -> Option<Batch> {
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.bytes += weight(&row);
        self.batch.rows.push(row);
        let full = self.batch.rows.len() == ROWS_LIMIT || self.bytes >= BYTES_LIMIT;
        if full { self.rest() } else { None }
    }

    fn rest(&mut self) -> Option<Batch> {
        self.bytes = 0;
        let rows = std::mem::take(&mut self.batch.rows);
        let first = self.batch.first;
        self.batch.first += i32::try_from(rows.len()).expect("a batch has few rows");
        (!rows.is_empty()).then_some(Batch { first, rows })
    }
}

fn weight(row: &Row) -> usize {
    let lists: usize = row.tags.iter().chain(row.folder.iter()).map(String::len).sum();
    row.url.len() + row.title.len() + row.description.len() + lists
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn file(links: usize, description: &str) -> FileStream {
        let link = |number| format!("<DT><A HREF=\"https://a.example/{number}\">a</A><DD>{description}\n");
        let text: String = (0..links).map(link).collect();
        let chunks: Vec<anyhow::Result<Bytes>> = text
            .into_bytes()
            .chunks(1_000)
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        stream::iter(chunks).boxed()
    }

    async fn collect(mut receiver: mpsc::Receiver<Result<Batch, ReadError>>) -> Vec<Batch> {
        let mut batches = Vec::new();
        while let Some(batch) = receiver.recv().await {
            batches.push(batch.unwrap());
        }
        batches
    }

    #[tokio::test]
    async fn rows_are_counted_without_being_kept() {
        assert_eq!(count(file(1_234, ""), 5_000).await.unwrap(), 1_234);
    }

    #[tokio::test]
    async fn batches_begin_where_the_ones_before_end() {
        let batches = collect(batches(file(1_234, ""), 5_000, 0)).await;

        let places: Vec<(i32, usize)> = batches.iter().map(|batch| (batch.first, batch.rows.len())).collect();
        assert_eq!(places, [(0, 500), (500, 500), (1_000, 234)]);
    }

    #[tokio::test]
    async fn reading_again_from_the_middle_makes_the_same_batches() {
        let long = "d".repeat(10_000);
        let all = collect(batches(file(400, &long), 5_000, 0)).await;
        let (done, left) = all.split_first().unwrap();

        let again = collect(batches(
            file(400, &long),
            5_000,
            i32::try_from(done.rows.len()).unwrap(),
        ))
        .await;

        assert!(all.len() > 2, "the weight of rows ends batches too");
        assert_eq!(again, left);
    }

    #[tokio::test]
    async fn a_bad_file_ends_the_batches_with_its_failure() {
        let mut receiver = batches(file(10, ""), 5, 0);

        let last = receiver.recv().await.unwrap();

        assert!(matches!(last, Err(ReadError::Failure(failure)) if failure.line == 6));
        assert!(receiver.recv().await.is_none());
    }

    #[tokio::test]
    async fn a_store_that_breaks_off_is_trouble_and_no_failure() {
        let broken = stream::iter([Ok(Bytes::from_static(b"<DL><p>")), Err(anyhow::anyhow!("gone"))]).boxed();

        assert!(matches!(count(broken, 10).await, Err(ReadError::Trouble(_))));
    }
}
