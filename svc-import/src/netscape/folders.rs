//! The stack of folders around the place in the file.

use std::sync::Arc;

use crate::failure::{Failure, Reason};

/// How many named folders a path has at most; what is deeper is put into the last one.
const PATH_LIMIT: usize = 64;

/// How deep lists may nest, named or not. No program writes more than a few dozen; an attack writes millions.
const NESTING_LIMIT: usize = 1_000;

pub(crate) type Path = Arc<Vec<String>>;

#[derive(Default)]
pub(crate) struct Folders {
    /// One entry per open list: the name of its folder, none for the root and for lists without a heading.
    levels: Vec<Option<String>>,
    path: Path,
    too_deep: bool,
}

impl Folders {
    pub(crate) fn open(&mut self, name: Option<String>, line: u32) -> Result<(), Failure> {
        if self.levels.len() == NESTING_LIMIT {
            let description =
                format!("line {line} opens a list inside {NESTING_LIMIT} others; no bookmark file nests so deep");
            return Err(Failure::new(Reason::TooDeep, line, description));
        }
        let named = name.is_some();
        self.levels.push(name);
        if named {
            self.follow();
        }
        Ok(())
    }

    /// An end without a beginning is ignored: Safari leaves out the root list but not always its end.
    pub(crate) fn close(&mut self) {
        if let Some(Some(_)) = self.levels.pop() {
            self.follow();
        }
    }

    pub(crate) fn path(&self) -> Path {
        Arc::clone(&self.path)
    }

    /// Whether the path here is shorter than the folders around the place.
    pub(crate) fn too_deep(&self) -> bool {
        self.too_deep
    }

    pub(crate) fn open_lists(&self) -> usize {
        self.levels.len()
    }

    fn follow(&mut self) {
        let mut names = self.levels.iter().flatten();
        self.path = Arc::new(names.by_ref().take(PATH_LIMIT).cloned().collect());
        self.too_deep = names.next().is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folders: &mut Folders, name: &str) {
        folders.open(Some(name.to_owned()), 1).unwrap();
    }

    #[test]
    fn lists_without_a_name_add_nothing_to_the_path() {
        let mut folders = Folders::default();

        folders.open(None, 1).unwrap();
        open(&mut folders, "a");
        folders.open(None, 1).unwrap();
        open(&mut folders, "b/c, d");

        assert_eq!(*folders.path(), ["a", "b/c, d"]);
        folders.close();
        folders.close();
        assert_eq!(*folders.path(), ["a"]);
        for _ in 0..5 {
            folders.close();
        }
        assert!(folders.path().is_empty());
    }

    #[test]
    fn folders_deeper_than_the_limit_are_put_into_the_last() {
        let mut folders = Folders::default();
        for number in 0..70 {
            open(&mut folders, &number.to_string());
        }

        assert_eq!(folders.path().len(), PATH_LIMIT);
        assert!(folders.too_deep());
        for _ in 0..6 {
            folders.close();
        }
        assert_eq!(folders.path().last().unwrap(), "63");
        assert!(!folders.too_deep());
    }

    #[test]
    fn endless_nesting_fails_with_its_line() {
        let mut folders = Folders::default();
        for _ in 0..NESTING_LIMIT {
            folders.open(None, 1).unwrap();
        }

        let failure = folders.open(None, 7).unwrap_err();

        assert_eq!((failure.reason, failure.line), (Reason::TooDeep, 7));
    }
}
