//! The uploaded files in the object store: a folder, or a bucket of S3 or MinIO.

use std::{fs, sync::Arc, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    ObjectStore, ObjectStoreExt, WriteMultipart, aws::AmazonS3Builder, local::LocalFileSystem, path::Path,
    prefix::PrefixStore,
};
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

const FOLDER: &str = "imports";

/// Parts of an upload that may be on their way at once; each is about 5 MiB, which is what S3 takes at least.
const PARTS_IN_FLIGHT: usize = 2;

/// The bytes of a file, in chunks.
pub(crate) type FileStream = BoxStream<'static, anyhow::Result<Bytes>>;

#[derive(Clone)]
pub(crate) struct Objects(Arc<dyn ObjectStore>);

/// A file on its way in. It appears under its name when it is whole, and not before; dropped unfinished, as when the
/// caller hangs up, it leaves nothing behind.
pub(crate) struct Upload {
    path: Path,
    parts: Option<WriteMultipart>,
}

impl Objects {
    /// Opens `file:///folder`, which is made if it is missing, or `s3://bucket/prefix` with the AWS SDKs' usual variables.
    pub(crate) fn open(url: &Url) -> anyhow::Result<Self> {
        let store: Arc<dyn ObjectStore> = match url.scheme() {
            "file" => Arc::new(open_folder(url)?),
            "s3" => Arc::new(open_bucket(url)?),
            scheme => anyhow::bail!("the object store must be file:// or s3://, not {scheme}://"),
        };
        Ok(Self(store))
    }

    pub(crate) async fn upload(&self, owner: Uuid, import: Uuid) -> anyhow::Result<Upload> {
        let path = path(owner, import);
        let parts = self
            .0
            .put_multipart(&path)
            .await
            .with_context(|| format!("beginning to write {path}"))?;
        Ok(Upload {
            path,
            parts: Some(WriteMultipart::new(parts)),
        })
    }

    /// None when the file is not there.
    pub(crate) async fn read(&self, owner: Uuid, import: Uuid) -> anyhow::Result<Option<FileStream>> {
        let path = path(owner, import);
        match self.0.get(&path).await {
            Ok(result) => Ok(Some(result.into_stream().map_err(anyhow::Error::from).boxed())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(anyhow::Error::new(error).context(format!("opening {path}"))),
        }
    }

    pub(crate) async fn delete(&self, owner: Uuid, import: Uuid) -> anyhow::Result<()> {
        let path = path(owner, import);
        match self.0.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(anyhow::Error::new(error).context(format!("deleting {path}"))),
        }
    }

    /// Deletes all files of the owner; answers how many there were.
    pub(crate) async fn delete_all(&self, owner: Uuid) -> anyhow::Result<u64> {
        let mut files = self.0.list(Some(&Path::from(format!("{FOLDER}/{owner}"))));
        let mut deleted = 0;
        while let Some(file) = files.try_next().await.context("listing the files of a user")? {
            match self.0.delete(&file.location).await {
                Ok(()) => deleted += 1,
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => {
                    return Err(anyhow::Error::new(error).context(format!("deleting {}", file.location)));
                }
            }
        }
        Ok(deleted)
    }

    /// Deletes the files of imports that are long over, and those that a crash left without an import.
    pub(crate) async fn delete_older(&self, age: Duration, now: OffsetDateTime) -> anyhow::Result<usize> {
        let limit = (now - age).unix_timestamp();
        let mut files = self.0.list(Some(&Path::from(FOLDER)));
        let mut deleted = 0;
        while let Some(file) = files.try_next().await.context("listing the files of imports")? {
            if file.last_modified.timestamp() < limit {
                self.0
                    .delete(&file.location)
                    .await
                    .with_context(|| format!("deleting {}", file.location))?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }
}

impl Upload {
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let parts = self.parts.as_mut().context("the upload is finished")?;
        let capacity = parts.wait_for_capacity(PARTS_IN_FLIGHT).await;
        capacity.with_context(|| format!("writing {}", self.path))?;
        // A copy: kept as they are, many small pieces would each hold on to the buffer of the call that brought them.
        parts.write(bytes);
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> anyhow::Result<()> {
        let parts = self.parts.take().context("the upload is finished")?;
        parts
            .finish()
            .await
            .with_context(|| format!("finishing {}", self.path))?;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(parts) = self.parts.take() else { return };
        let path = self.path.clone();
        tokio::spawn(async move {
            if let Err(error) = parts.abort().await {
                tracing::warn!(error = %error, path = %path, "an upload that ended early left parts behind");
            }
        });
    }
}

fn path(owner: Uuid, import: Uuid) -> Path {
    Path::from(format!("{FOLDER}/{owner}/{import}"))
}

fn open_folder(url: &Url) -> anyhow::Result<LocalFileSystem> {
    let folder = url
        .to_file_path()
        .ok()
        .with_context(|| format!("{url} names no folder of this machine"))?;
    fs::create_dir_all(&folder).with_context(|| format!("making the folder {}", folder.display()))?;
    let store = LocalFileSystem::new_with_prefix(&folder)
        .with_context(|| format!("opening the folder {}", folder.display()))?;
    // A user's folder has the user's id: it goes with its last file.
    Ok(store.with_automatic_cleanup(true))
}

fn open_bucket(url: &Url) -> anyhow::Result<PrefixStore<object_store::aws::AmazonS3>> {
    let bucket = AmazonS3Builder::from_env()
        .with_url(url.as_str())
        .build()
        .context("opening the bucket")?;
    Ok(PrefixStore::new(bucket, url.path()))
}
