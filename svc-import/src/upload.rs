//! Taking a file in: straight to the object store, a few buffers at a time.

use aws_lc_rs::digest::{Context as Digest, SHA256};
use bookmesh_proto::imports::v1::CreateImportRequest;
use idempotency::{NamedRequest, RequestId};
use service::{check, id, status, status::Violation};
use tonic::{Status, Streaming};
use uuid::Uuid;

use crate::{
    objects::{Objects, Upload},
    store::NewImport,
};

const FILE_NAME_LIMIT_BYTES: usize = 255;

/// A file of which all bytes are there. Dropped unfinished, it leaves nothing behind.
pub(crate) struct Received {
    import_id: Uuid,
    owner_id: Uuid,
    upload: Upload,
    copied: Copied,
}

/// A file that is in the object store, whole.
pub(crate) struct Stored {
    pub(crate) import_id: Uuid,
    pub(crate) sha256: Vec<u8>,
    pub(crate) named: Option<NamedRequest>,
    owner_id: Uuid,
    file_name: String,
    size_bytes: u64,
}

impl Received {
    pub(crate) async fn finish(self) -> Result<Stored, Status> {
        self.upload.finish().await.map_err(|error| unavailable(&error))?;
        let Copied {
            file_name,
            request_id,
            size_bytes,
            digest,
        } = self.copied;
        let sha256 = digest.finish().as_ref().to_vec();
        let asked = [file_name.as_bytes(), &sha256];
        let named = request_id.map(|request_id| request_id.of_request(self.owner_id, "CreateImport", &asked));
        Ok(Stored {
            import_id: self.import_id,
            sha256,
            named,
            owner_id: self.owner_id,
            file_name,
            size_bytes,
        })
    }
}

impl Stored {
    pub(crate) fn new_import(&self, task_id: Uuid) -> NewImport<'_> {
        NewImport {
            id: self.import_id,
            owner_id: self.owner_id,
            task_id,
            file_name: &self.file_name,
            size_bytes: i64::try_from(self.size_bytes).unwrap_or(i64::MAX),
            sha256: &self.sha256,
        }
    }

    /// Nobody needs the file; if it cannot be deleted now, the sweeper does it later.
    pub(crate) async fn discard(&self, objects: &Objects) {
        if let Err(error) = objects.delete(self.owner_id, self.import_id).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "an upload that nobody needs is left behind"
            );
        }
    }
}

/// Takes the file of a call in. An upload that breaks off, or is refused, leaves nothing behind.
pub(crate) async fn receive(
    objects: &Objects,
    owner: Uuid,
    mut messages: Streaming<CreateImportRequest>,
    max_bytes: u64,
) -> Result<Received, Status> {
    let import_id = id::generate();
    let mut upload = objects
        .upload(owner, import_id)
        .await
        .map_err(|error| unavailable(&error))?;
    let copied = copy(&mut messages, &mut upload, max_bytes).await?;
    Ok(Received {
        import_id,
        owner_id: owner,
        upload,
        copied,
    })
}

struct Copied {
    file_name: String,
    request_id: Option<RequestId>,
    size_bytes: u64,
    digest: Digest,
}

async fn copy(
    messages: &mut Streaming<CreateImportRequest>,
    upload: &mut Upload,
    max_bytes: u64,
) -> Result<Copied, Status> {
    let mut copied = Copied {
        file_name: String::new(),
        request_id: None,
        size_bytes: 0,
        digest: Digest::new(&SHA256),
    };
    let mut first = true;
    while let Some(message) = messages.message().await? {
        if std::mem::take(&mut first) {
            copied.file_name = file_name(message.file_name)?;
            copied.request_id = RequestId::parse(&message.request_id)?;
        }
        let data = message.file.unwrap_or_default().data;
        copied.size_bytes += data.len() as u64;
        if copied.size_bytes > max_bytes {
            return Err(Violation::new("file", format!("must be at most {max_bytes} bytes")).into());
        }
        copied.digest.update(&data);
        upload.write(&data).await.map_err(|error| unavailable(&error))?;
    }
    Ok(copied)
}

fn file_name(name: String) -> Result<String, Status> {
    match check::text("file_name", &name, FILE_NAME_LIMIT_BYTES) {
        Some(violation) => Err(violation.into()),
        None => Ok(name),
    }
}

fn unavailable(error: &anyhow::Error) -> Status {
    tracing::error!(error = format!("{error:#}"), "the object store does not take an upload");
    status::unavailable("the file cannot be stored now", std::time::Duration::from_secs(5))
}
