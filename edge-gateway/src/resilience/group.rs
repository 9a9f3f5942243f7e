//! The groups of RPCs that fail and are refused together: those of one rate class of the policy.

use bookmesh_proto::edge::v1::policy::RateClass;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Group {
    Read,
    Write,
    Search,
    Identity,
    Upload,
}

impl Group {
    pub(super) const ALL: [Self; 5] = [Self::Read, Self::Write, Self::Search, Self::Identity, Self::Upload];

    pub(crate) fn of(class: RateClass) -> Self {
        match class {
            RateClass::Unspecified | RateClass::Read => Self::Read,
            RateClass::Write => Self::Write,
            RateClass::Search => Self::Search,
            RateClass::Identity => Self::Identity,
            RateClass::Upload => Self::Upload,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Search => "search",
            Self::Identity => "identity",
            Self::Upload => "upload",
        }
    }

    /// Its place in [`Group::ALL`].
    pub(super) fn place(self) -> usize {
        self as usize
    }
}
