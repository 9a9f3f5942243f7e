//! Uploads under way, by caller: they last for minutes, so that without a share one caller could hold the places of all.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::limit::Subject;

/// Those of one worker, by service and caller.
#[derive(Default)]
pub(super) struct Uploads(RefCell<HashMap<(usize, Subject), u32>>);

/// An upload that is under way; dropping it makes room for another of the same caller.
pub(crate) struct UploadPlace<'w> {
    uploads: &'w Uploads,
    key: (usize, Subject),
}

impl Uploads {
    /// Nothing when the caller has its share already.
    pub(super) fn enter(&self, service: usize, subject: Subject, share: u32) -> Option<UploadPlace<'_>> {
        let key = (service, subject);
        let mut under_way = self.0.borrow_mut();
        let own = under_way.get(&key).copied().unwrap_or_default();
        if own >= share {
            return None;
        }
        under_way.insert(key, own + 1);
        Some(UploadPlace { uploads: self, key })
    }
}

impl Drop for UploadPlace<'_> {
    fn drop(&mut self) {
        let mut under_way = self.uploads.0.borrow_mut();
        if let Some(own) = under_way.get_mut(&self.key) {
            *own -= 1;
            if *own == 0 {
                under_way.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn each_caller_has_its_own_places_with_each_service_and_gets_them_back() {
        let uploads = Uploads::default();
        let [one, other] = [1, 2].map(|id| Subject::User(Uuid::from_u128(id)));

        let first = uploads.enter(0, one, 2);
        let second = uploads.enter(0, one, 2);
        assert!(first.is_some() && second.is_some());
        assert!(uploads.enter(0, one, 2).is_none());
        assert!(uploads.enter(1, one, 2).is_some() && uploads.enter(0, other, 2).is_some());

        drop(first);
        assert!(uploads.enter(0, one, 2).is_some());
        drop(second);
        assert!(uploads.0.borrow().is_empty(), "nothing is kept of who is gone");
    }
}
