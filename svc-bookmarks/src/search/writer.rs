//! The index as it is written: opened or made again, changed by version, committed with its place in the stream.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use anyhow::{Context, bail};
use tantivy::{
    IndexWriter, Searcher, TantivyDocument, TantivyError, directory::MmapDirectory, indexer::IndexWriterOptions,
    merge_policy::LogMergePolicy,
};
use uuid::Uuid;

use crate::{
    domain::Bookmark,
    search::{
        index::Index,
        schema::{FORMAT, Fields},
    },
};

const MEMORY_BYTES: usize = 24 * 1024 * 1024;
/// Deleted and replaced documents are merged away when they are this part of a segment.
const DELETED_PART: f32 = 0.3;

/// Up to where the stream is in the index. A stream that was made anew is another epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) epoch: i128,
    pub(super) sequence: u64,
}

pub(super) struct Writer {
    folder: PathBuf,
    fields: Fields,
    index: Arc<Index>,
    writer: IndexWriter,
    searcher: Searcher,
    checkpoint: Option<Checkpoint>,
    /// Versions that are written and not committed yet.
    pending: HashMap<Uuid, i64>,
}

impl Writer {
    /// Opens the index in the folder. A damaged one is put aside and an empty one made in its place.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Writer> {
        let folder = folder.join(format!("format-{FORMAT}"));
        match Writer::open_or_make(&folder) {
            Ok(writer) => Ok(writer),
            Err(TantivyError::LockFailure(error, _)) => {
                bail!(
                    "the index folder {} is in use by another process: {error}",
                    folder.display()
                )
            }
            Err(error) => {
                tracing::error!(error = %error, folder = %folder.display(), "the search index is damaged, making it anew");
                put_aside(&folder)?;
                Writer::open_or_make(&folder).with_context(|| format!("making an index in {}", folder.display()))
            }
        }
    }

    fn open_or_make(folder: &Path) -> tantivy::Result<Writer> {
        fs::create_dir_all(folder)?;
        let (schema, fields) = Fields::new();
        let index = tantivy::Index::open_or_create(MmapDirectory::open(folder)?, schema)?;
        let (name, analyzer) = Fields::analyzer();
        index.tokenizers().register(name, analyzer);
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(MEMORY_BYTES)
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        let writer = index.writer_with_options(options)?;
        let mut merge_policy = LogMergePolicy::default();
        merge_policy.set_del_docs_ratio_before_merge(DELETED_PART);
        writer.set_merge_policy(Box::new(merge_policy));
        let checkpoint = index.load_metas()?.payload.and_then(|payload| payload.parse().ok());
        let shown = Index::new(&index, fields)?;
        let searcher = shown.searcher();
        let folder = folder.to_owned();
        Ok(Writer {
            folder,
            fields,
            index: shown,
            writer,
            searcher,
            checkpoint,
            pending: HashMap::new(),
        })
    }

    pub(super) fn index(&self) -> Arc<Index> {
        Arc::clone(&self.index)
    }

    pub(super) fn checkpoint(&self) -> Option<Checkpoint> {
        self.checkpoint
    }

    /// The file without which an index is gone.
    pub(super) fn heart(&self) -> PathBuf {
        self.folder.join("meta.json")
    }

    /// Puts a bookmark in, unless the index has it as new or newer.
    pub(super) fn put(&mut self, owner: Uuid, bookmark: &Bookmark) -> tantivy::Result<()> {
        if !self.is_news(bookmark.id, bookmark.version)? {
            return Ok(());
        }
        let document = self.fields.document(owner, bookmark);
        self.replace(bookmark.id, bookmark.version, document)
    }

    /// Takes a bookmark out, unless the index has it newer. What was taken out stays out.
    pub(super) fn delete(&mut self, owner: Uuid, id: Uuid, version: i64) -> tantivy::Result<()> {
        if !self.is_news(id, version)? {
            return Ok(());
        }
        let tombstone = self.fields.tombstone(owner, id, version);
        self.replace(id, version, tombstone)
    }

    /// Takes out what the owner no longer has.
    pub(super) fn keep_only(&mut self, owner: Uuid, kept: &HashSet<Uuid>, version: i64) -> tantivy::Result<()> {
        for id in self.index.ids_of(owner)? {
            if !kept.contains(&id) {
                self.delete(owner, id, version)?;
            }
        }
        Ok(())
    }

    /// Takes out all that is the owner's, marks of deleted bookmarks too.
    pub(super) fn forget(&mut self, owner: Uuid) {
        self.writer.delete_term(self.fields.writer_term(owner));
    }

    /// Makes what was written findable, together with its place in the stream; without a place the index counts as
    /// incomplete.
    pub(super) fn commit(&mut self, checkpoint: Option<Checkpoint>) -> tantivy::Result<()> {
        let mut commit = self.writer.prepare_commit()?;
        if let Some(checkpoint) = checkpoint {
            commit.set_payload(&checkpoint.to_string());
        }
        commit.commit()?;
        self.checkpoint = checkpoint;
        self.index.reload()?;
        self.searcher = self.index.searcher();
        self.pending.clear();
        Ok(())
    }

    fn is_news(&self, id: Uuid, version: i64) -> tantivy::Result<bool> {
        let known = match self.pending.get(&id) {
            Some(version) => Some(*version),
            None => self.index.version_of(&self.searcher, id)?,
        };
        Ok(known.is_none_or(|known| known < version))
    }

    fn replace(&mut self, id: Uuid, version: i64, document: TantivyDocument) -> tantivy::Result<()> {
        self.writer.delete_term(self.fields.key_term(id));
        self.writer.add_document(document)?;
        self.pending.insert(id, version);
        Ok(())
    }
}

/// Keeps the last damaged index for whoever wants to know what happened.
fn put_aside(folder: &Path) -> anyhow::Result<()> {
    let aside = folder.with_extension("damaged");
    match fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing {}", aside.display()));
        }
        _ => {}
    }
    match fs::rename(folder, &aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("putting {} aside", folder.display()))
        }
        _ => Ok(()),
    }
}

impl std::fmt::Display for Checkpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.epoch, self.sequence)
    }
}

impl FromStr for Checkpoint {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Checkpoint> {
        let (epoch, sequence) = text.split_once(':').context("a checkpoint has two parts")?;
        Ok(Checkpoint {
            epoch: epoch.parse()?,
            sequence: sequence.parse()?,
        })
    }
}
