//! The types that fields have.

use super::{EnumId, MessageId};
use crate::integer::Integer;
use crate::wire::WireType;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Scalar(Scalar),
    Message(MessageId),
    /// A message between two tags instead of behind its length.
    Group(MessageId),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scalar {
    Integer(Integer),
    Double,
    Float,
    Bool,
    String,
    Bytes,
    Enum(EnumId),
    /// `google.protobuf.NullValue`, an enum that is `null` in JSON.
    Null,
}

impl Kind {
    pub(crate) fn wire_type(self) -> WireType {
        match self {
            Self::Scalar(scalar) => scalar.wire_type(),
            Self::Message(_) => WireType::Bytes,
            Self::Group(_) => WireType::GroupStart,
        }
    }

    pub(crate) fn message(self) -> Option<MessageId> {
        match self {
            Self::Scalar(_) => None,
            Self::Message(id) | Self::Group(id) => Some(id),
        }
    }

    pub(crate) fn scalar(self) -> Option<Scalar> {
        match self {
            Self::Scalar(scalar) => Some(scalar),
            Self::Message(_) | Self::Group(_) => None,
        }
    }
}

impl Scalar {
    pub(crate) fn wire_type(self) -> WireType {
        match self {
            Self::Integer(integer) => integer.wire_type(),
            Self::Double => WireType::Fixed64,
            Self::Float => WireType::Fixed32,
            Self::Bool | Self::Enum(_) | Self::Null => WireType::Varint,
            Self::String | Self::Bytes => WireType::Bytes,
        }
    }
}
