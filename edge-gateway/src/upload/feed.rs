//! Turns a body, raw or the one part of a multipart form, into the messages of an upload.

use std::cell::Cell;
use std::io;
use std::time::Instant;

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures::{TryFutureExt, future};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use transcode::peek;

use super::pace::Pace;
use super::pieces::PieceSender;
use crate::body;
use crate::call::push_raw_body;
use crate::connection::ConnectionSettings;
use crate::endpoint::RawBody;
use crate::exchange;
use crate::problem::Problem;

/// What a form may have besides its file: the parser keeps that in memory. It is behind by up to two chunks of Actix, which
/// have at most 128 KiB each.
const MAX_FORM_BYTES: u64 = 256 * 1024;
const PIECE_BYTES: usize = 64 * 1024;

/// What is known of an uploaded file before its bytes.
pub(super) struct File {
    raw: RawBody,
    /// The fields of the first message that path and query fill.
    fields: Vec<u8>,
    content_type: String,
    name: Option<String>,
}

impl File {
    pub(super) fn of(request: &HttpRequest, raw: RawBody, fields: Vec<u8>) -> Self {
        let headers = request.headers();
        let content_type = exchange::header(headers, CONTENT_TYPE).unwrap_or_default().to_owned();
        let name = exchange::header(headers, CONTENT_DISPOSITION).and_then(file_name);
        Self {
            raw,
            fields,
            content_type,
            name,
        }
    }

    /// Sends the whole body, or gives it up.
    pub(super) async fn send(self, body: Source, pieces: PieceSender) -> Result<(), Problem> {
        match multer::parse_boundary(&self.content_type) {
            Ok(boundary) => self.send_part(body, boundary, pieces).await,
            Err(multer::Error::NoBoundary) => Err(FormError::Broken(multer::Error::NoBoundary).into_problem()),
            Err(_) => self.send_raw(body, pieces).await,
        }
    }

    async fn send_raw(self, mut source: Source, pieces: PieceSender) -> Result<(), Problem> {
        let mut messages = Messages::new(self, pieces);
        while let Some(chunk) = source.next().await? {
            messages.push(&chunk).await;
        }
        messages.finish().await;
        Ok(())
    }

    async fn send_part(self, mut source: Source, boundary: String, pieces: PieceSender) -> Result<(), Problem> {
        // The parser wants a stream that can change threads, which Actix's payload cannot.
        let (into_parser, chunks) = mpsc::channel::<io::Result<Bytes>>(1);
        let unparsed = Unparsed::default();
        let read = async {
            // Owned here, so that the parser hears of the end.
            let into_parser = into_parser;
            while let Some(chunk) = source.next().await? {
                unparsed.add(chunk.len()).map_err(FormError::into_problem)?;
                // The parser is gone when it has found an error, which then is the one that counts.
                let _ = into_parser.send(Ok(chunk)).await;
            }
            Ok(())
        };
        let form = multer::Multipart::new(ReceiverStream::new(chunks), boundary);
        let parse = self
            .send_only_part(form, pieces, &unparsed)
            .map_err(FormError::into_problem);
        future::try_join(read, parse).await.map(|_| ())
    }

    async fn send_only_part(
        mut self,
        mut form: multer::Multipart<'_>,
        pieces: PieceSender,
        unparsed: &Unparsed,
    ) -> Result<(), FormError> {
        let mut part = form.next_field().await?.ok_or(FormError::NotOnePart)?;
        unparsed.stop_counting();
        self.content_type = part.content_type().map(ToString::to_string).unwrap_or_default();
        self.name = part.file_name().map(str::to_owned);
        let mut messages = Messages::new(self, pieces);
        while let Some(chunk) = part.chunk().await? {
            messages.push(&chunk).await;
        }
        drop(part);
        unparsed.count_again();
        if form.next_field().await?.is_some() {
            return Err(FormError::NotOnePart);
        }
        unparsed.stop_counting();
        messages.finish().await;
        Ok(())
    }

    /// The first message, up to its bytes.
    fn start(&self) -> Vec<u8> {
        let mut message = self.fields.clone();
        if let (Some(number), Some(name)) = (self.raw.file_name, &self.name)
            && peek::last_bytes(&self.fields, number).is_none()
        {
            peek::push_field(&mut message, number, name.as_bytes());
        }
        message
    }
}

/// Gathers chunks into pieces, and sends each as a message.
struct Messages {
    file: File,
    pieces: PieceSender,
    gathered: BytesMut,
    is_first: bool,
}

impl Messages {
    fn new(file: File, pieces: PieceSender) -> Self {
        Self {
            file,
            pieces,
            gathered: BytesMut::with_capacity(PIECE_BYTES),
            is_first: true,
        }
    }

    async fn push(&mut self, mut chunk: &[u8]) {
        while self.gathered.len() + chunk.len() >= PIECE_BYTES {
            let (fits, rest) = chunk.split_at(PIECE_BYTES - self.gathered.len());
            self.gathered.extend_from_slice(fits);
            chunk = rest;
            self.send().await;
        }
        self.gathered.extend_from_slice(chunk);
    }

    /// Also sends the one message that an empty file has.
    async fn finish(mut self) {
        if self.is_first || !self.gathered.is_empty() {
            self.send().await;
        }
        self.pieces.finish().await;
    }

    async fn send(&mut self) {
        let (mut message, content_type) = match self.is_first {
            true => (self.file.start(), self.file.content_type.as_str()),
            false => (Vec::new(), ""),
        };
        message.reserve(self.gathered.len() + content_type.len() + 32);
        push_raw_body(self.file.raw, content_type, &self.gathered, &mut message);
        self.gathered.clear();
        self.is_first = false;
        self.pieces.send(message.into()).await;
    }
}

/// A body that is counted while it is read.
pub(super) struct Source {
    payload: Payload,
    limit: u64,
    pace: Pace,
    settings: ConnectionSettings,
}

impl Source {
    pub(super) fn new(payload: Payload, limit: u64, settings: ConnectionSettings) -> Self {
        Self {
            payload,
            limit,
            pace: Pace::default(),
            settings,
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let asked = Instant::now();
        let patience = self.pace.patience(&self.settings);
        let next = tokio::time::timeout(patience, body::next_piece(&mut self.payload, self.settings)).await;
        let Some(chunk) = next.map_err(|_| self.too_slow())?? else {
            return Ok(None);
        };
        self.pace.note(asked.elapsed(), chunk.len() as u64);
        if self.pace.received() > self.limit {
            Err(body::too_large(self.limit))
        } else {
            Ok(Some(chunk))
        }
    }

    fn too_slow(&self) -> Problem {
        let rate = self.settings.upload_bytes_per_second;
        body::too_slow(format!("the file came with less than {rate} bytes per second"))
    }
}

/// How many bytes the parser was given that it must keep, because it has not found what it looks for; nothing while it
/// passes on what it gets.
struct Unparsed(Cell<Option<u64>>);

impl Default for Unparsed {
    fn default() -> Self {
        Self(Cell::new(Some(0)))
    }
}

impl Unparsed {
    /// What came before this chunk counts: the parser may find what it looks for in the chunk itself.
    fn add(&self, bytes: usize) -> Result<(), FormError> {
        match self.0.get() {
            Some(before) if before > MAX_FORM_BYTES => Err(FormError::TooLong),
            Some(before) => {
                self.0.set(Some(before + bytes as u64));
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn stop_counting(&self) {
        self.0.set(None);
    }

    fn count_again(&self) {
        self.0.set(Some(0));
    }
}

enum FormError {
    NotOnePart,
    TooLong,
    Broken(multer::Error),
}

impl From<multer::Error> for FormError {
    fn from(error: multer::Error) -> Self {
        Self::Broken(error)
    }
}

impl FormError {
    fn into_problem(self) -> Problem {
        let detail = match self {
            Self::NotOnePart => "the form must have exactly one part: the file".to_owned(),
            Self::TooLong => format!("the form has more than {MAX_FORM_BYTES} bytes besides its file"),
            Self::Broken(error) => format!("the form cannot be read: {error}"),
        };
        Problem::bad_request("INVALID_FORM", detail)
    }
}

/// `attachment; filename="bookmarks.html"`
fn file_name(disposition: &str) -> Option<String> {
    let value = disposition
        .split(';')
        .find_map(|part| part.trim().strip_prefix("filename="))?;
    let name = value.trim().trim_matches('"');
    (!name.is_empty()).then(|| name.to_owned())
}
